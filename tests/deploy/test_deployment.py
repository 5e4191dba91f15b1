"""The files of deploy/: what reads them takes them, and what they name is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastness.laptop.daemon import running
from fastness.laptop.etcd import etcd_members, etcd_places
from fastness.laptop.programs import postgresql_programs
from fastness.server.figures import MEASURES
from fastness.server.settings import SETTINGS
from fastness.testing.kit import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = Path(sys.executable).parent
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
OLDEST_KUBERNETES = "1.27"
ENTRYPOINT = "/opt/fastness/bin/fastness"


def run(*words: object, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit code of a command and all it says."""
    done = subprocess.run(
        list(map(str, words)),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    return done.returncode, done.stdout


def documents(path: Path) -> list[Any]:
    """Those of a YAML file."""
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def strings(document: object) -> Iterator[str]:
    """Every text in a document, keys included."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            yield str(name)
            yield from strings(value)
    elif isinstance(document, list):
        for value in document:
            yield from strings(value)
    elif isinstance(document, str):
        yield document


# ---------------------------------------------------------------- images


def hadolint(path: Path) -> tuple[int, str]:
    """What the linter of Dockerfiles says."""
    return run(TOOLS / "hadolint", "--no-color", "--failure-threshold", "warning", path)


@pytest.mark.parametrize("name", ["Dockerfile", "parts.Dockerfile"])
def test_dockerfiles_are_sound(name: str) -> None:
    """Their linter finds nothing."""
    assert hadolint(DEPLOY / name)[0] == 0


def test_the_linter_of_dockerfiles_sees_a_mistake(tmp_path: Path) -> None:
    """An image that runs as root at the end is found."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8").replace("USER 10001:10001", "USER root")
    (tmp_path / "Dockerfile").write_text(text)
    code, said = hadolint(tmp_path / "Dockerfile")
    assert code != 0
    assert "DL3002" in said


def test_what_images_copy_is_there() -> None:
    """Each source of a COPY, from the folder the image is built in."""
    for name, context in (("Dockerfile", ROOT), ("parts.Dockerfile", DEPLOY)):
        lines = (DEPLOY / name).read_text("utf-8").splitlines()
        for line in lines:
            if line.startswith("COPY") and "--from" not in line:
                sources = [word for word in line.split()[1:-1] if not word.startswith("--")]
                assert sources
                assert all((context / source).exists() for source in sources)


@pytest.mark.process
def test_the_health_check_of_the_image_tells_a_server_that_lives() -> None:
    """0 while it serves, 1 afterwards."""
    server = ServerProcess("memory:", "--admin", "127.0.0.1:0")
    server.start()
    try:
        found = re.search(r"admin.*?127\.0\.0\.1:(\d+)", server.log_path.read_text("utf-8"))
        assert found is not None
        admin = {"FASTNESS_ADMIN": f"0.0.0.0:{found[1]}"}
        check = (sys.executable, DEPLOY / "healthcheck.py")
        assert run(*check, environment=admin)[0] == 0
    finally:
        server.stop()
    assert run(*check, environment=admin)[0] == 1


# --------------------------------------------------------------- Compose


def test_the_compose_file_keeps_to_its_specification() -> None:
    """Its schema takes it."""
    schema = ("--builtin-schema", "vendor.compose-spec")
    code, said = run(TOOLS / "check-jsonschema", *schema, DEPLOY / "compose.yaml")
    assert code == 0, said


def test_the_schema_of_compose_sees_a_mistake(tmp_path: Path) -> None:
    """A setting that there is not is found."""
    text = (DEPLOY / "compose.yaml").read_text("utf-8").replace("stop_grace_period", "stop_grace")
    (tmp_path / "compose.yaml").write_text(text)
    schema = ("--builtin-schema", "vendor.compose-spec")
    assert run(TOOLS / "check-jsonschema", *schema, tmp_path / "compose.yaml")[0] != 0


def test_what_containers_are_told_are_settings() -> None:
    """Every variable FASTNESS_* is one, but the password that Patroni's script gets."""
    known = {setting.variable for setting in SETTINGS.values()} | {"FASTNESS_PASSWORD"}
    told = set()
    for path in (DEPLOY / "compose.yaml", *MANIFESTS):
        for text in strings(documents(path)):
            told |= set(re.findall(r"\bFASTNESS_[A-Z_]+\b", text))
    told |= set(re.findall(r"\bFASTNESS_[A-Z_]+(?==)", (DEPLOY / "Dockerfile").read_text("utf-8")))
    assert told
    assert told <= known


# -------------------------------------------------------------- Kubernetes


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, "1.37"])
def test_manifests_are_what_kubernetes_takes(version: str) -> None:
    """Every property is in its schemas, of the oldest version supported and a new one."""
    paths = [path for path in MANIFESTS if path.name != "kustomization.yaml"]
    code, said = run(TOOLS / "kubernetes-validate", "-k", version, "--strict", *paths)
    assert code == 0, said


def test_the_schemas_of_kubernetes_see_a_mistake(tmp_path: Path) -> None:
    """A property that there is not is found."""
    text = (DEPLOY / "kubernetes/nodes.yaml").read_text("utf-8")
    (tmp_path / "nodes.yaml").write_text(text.replace("readinessProbe", "readynessProbe"))
    code, _said = run(TOOLS / "kubernetes-validate", "--strict", tmp_path / "nodes.yaml")
    assert code != 0


def test_every_manifest_is_applied() -> None:
    """The list of `kubectl apply -k` leaves none out."""
    (listed,) = documents(DEPLOY / "kubernetes/kustomization.yaml")
    there = {path.name for path in MANIFESTS} - {"kustomization.yaml"}
    assert set(listed["resources"]) == there


def test_manifests_agree_with_each_other() -> None:
    """Services and budgets select the nodes; a drain ends before the pod is killed."""
    found = [one for path in MANIFESTS for one in documents(path)]
    (nodes,) = (one for one in found if one["kind"] == "StatefulSet")
    labels = nodes["spec"]["template"]["metadata"]["labels"]
    selectors = [one["spec"]["selector"] for one in found if one["kind"] == "Service"]
    selectors += [
        one["spec"]["selector"]["matchLabels"]
        for one in found
        if one["kind"] == "PodDisruptionBudget"
    ]
    assert selectors
    assert all(selector == labels for selector in selectors)
    (config,) = (one for one in found if one["kind"] == "ConfigMap")
    drain = re.search(r"^drain_ms = ([\d_]+)$", config["data"]["fastness.toml"], re.MULTILINE)
    assert drain is not None
    assert int(drain[1]) < nodes["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] * 1e3


# ---------------------------------------------------- settings, systemd, Patroni


def test_settings_files_are_taken(tmp_path: Path) -> None:
    """`fastness config check` finds no mistake in them."""
    (config,) = documents(DEPLOY / "kubernetes/config.yaml")
    (tmp_path / "kubernetes.toml").write_text(config["data"]["fastness.toml"])
    for path in (DEPLOY / "systemd/node.toml", tmp_path / "kubernetes.toml"):
        code, said = run(sys.executable, "-m", "fastness.cli", "config", "check", path)
        assert code == 0, said


@pytest.mark.parametrize("name", ["fastness.service", "fastness-node.service"])
def test_units_are_what_systemd_takes(name: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    text = (DEPLOY / "systemd" / name).read_text("utf-8")
    assert ENTRYPOINT in text
    # A program that is there; and the type of before systemd 253, which this one may be.
    program = str(TOOLS / "fastness")
    text = text.replace(ENTRYPOINT, program).replace("Type=notify-reload", "Type=notify")
    (tmp_path / name).write_text(text)
    code, said = run(analyze, "verify", tmp_path / name)
    assert (code, [line for line in said.splitlines() if name in line]) == (0, [])


@pytest.mark.process
def test_patroni_takes_its_settings(tmp_path: Path) -> None:
    """Its own check finds nothing, with the environment that they ask for."""
    text = (DEPLOY / "patroni/patroni.yml").read_text("utf-8")
    programs = str(postgresql_programs(14))
    (tmp_path / "patroni.yml").write_text(text.replace("/usr/lib/postgresql/17/bin", programs))
    (member,) = etcd_members(etcd_places(tmp_path, 1))
    with running(member.daemon):
        environment = {
            "PATRONI_SCOPE": "store-1",
            "PATRONI_NAME": "store-1-a",
            "PATRONI_ETCD3_HOSTS": f"'127.0.0.1:{member.place.client_port}'",
            "PATRONI_RESTAPI_CONNECT_ADDRESS": "192.0.2.1:8008",
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": "192.0.2.1:5432",
            "PATRONI_SUPERUSER_PASSWORD": "one",
            "PATRONI_REPLICATION_PASSWORD": "two",
            "PATRONI_REWIND_PASSWORD": "three",
        }
        check = ("--validate-config", "--ignore-listen-port", tmp_path / "patroni.yml")
        code, said = run(sys.executable, "-m", "patroni", *check, environment=environment)
    assert (code, said) == (0, "")


def test_patroni_waits_for_a_standby() -> None:
    """What an acknowledged commit rests on is on."""
    (settings,) = documents(DEPLOY / "patroni/patroni.yml")
    dcs = settings["bootstrap"]["dcs"]
    assert dcs["synchronous_mode"] == "quorum"
    assert dcs["synchronous_mode_strict"] is True


def test_the_script_for_patroni_parses() -> None:
    """As the shell reads it."""
    assert run("sh", "-n", DEPLOY / "patroni/make-database") == (0, "")


# ------------------------------------------------------------------ alerts


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    (document,) = documents(DEPLOY / "prometheus/alerts.yaml")
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_alerts_ask_for_figures_that_there_are() -> None:
    """Each name that begins with ours is one of /metrics."""
    known = {measure.name for measure in MEASURES}
    asked = set()
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        asked |= set(re.findall(r"\bfastness_\w+", rule["expr"]))
    assert {name.removesuffix("_bucket") for name in asked} <= known


def test_every_alert_has_its_runbook() -> None:
    """A line in docs/OPERATIONS.md that says what to do."""
    page = (ROOT / "docs/OPERATIONS.md").read_text("utf-8")
    for rule in rules():
        assert f"| `{rule['alert']}` |" in page
