"""docs/HTTP.md: its examples run as they stand, and are answered as it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import fastness
from fastness.errors import FastnessError
from fastness.model import Entity, Index, Version
from fastness.server.gateway.routes import ROOT, ROUTES
from tests.server.gateways import gateway
from tests.server.processes import PATIENCE_SECONDS
from tests.server.test_reference import codes

PAGE = Path(__file__).parents[2] / "docs" / "HTTP.md"

ANY = ("versionstamp", "continuation", "time")
"""What is not the same in two runs, besides timestamps."""


class User(Entity, key="id"):
    """As README.md has it."""

    id: str
    email: str
    name: str = ""
    joined: datetime
    version: Version = 0
    by_email = Index("email", unique=True)


def examples() -> list[tuple[str, list[Any]]]:
    """Each command of the page, with the documents it is answered."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"```sh\n(.*?)```\n```json\n(.*?)```\n", text, re.DOTALL)
    return [(command, _documents(answer)) for command, answer in found]


def _documents(text: str) -> list[Any]:
    decoder, documents = json.JSONDecoder(), []
    rest = text.strip()
    while rest:
        document, end = decoder.raw_decode(rest)
        documents.append(document)
        rest = rest[end:].strip()
    return documents


def _alike(told: Any, written: Any, name: str = "") -> bool:  # noqa: ANN401 - JSON
    """Whether an answer is what the page says, timestamps and the like aside."""
    if isinstance(written, dict):
        return (
            isinstance(told, dict)
            and told.keys() == written.keys()
            and all(_alike(told[one], written[one], one) for one in written)
        )
    if isinstance(written, list):
        return (
            isinstance(told, list) and len(told) == len(written) and all(map(_alike, told, written))
        )
    if name in ANY and written is not None:
        return type(told) is type(written)
    return type(told) is type(written) and _timeless(told) == _timeless(written)


def _timeless(value: object) -> str:
    return re.sub(r"[0-9]{18}", "T", str(value))


@pytest.mark.process
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("curl") is None, reason="its examples are commands of curl")
def test_the_examples_run(tmp_path: Path) -> None:
    """Every command is answered as the page says, one after the other on one server."""
    assert len(examples()) >= 10
    with gateway(tmp_path / "data") as server:
        with fastness.open(server.told["urls"][0], schema=[User]) as database:
            assert database.wait_until_readable(User.by_email, timeout=60)
        for command, written in examples():
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command.replace("curl ", "curl -sS ")],
                capture_output=True,
                check=False,
                timeout=PATIENCE_SECONDS,
                env={"FASTNESS": server.told["gateway"], "PATH": "/usr/bin:/bin"},
            )
            assert done.returncode == 0, done.stderr
            told = _documents(done.stdout.decode())
            assert len(told) == len(written), command
            assert all(map(_alike, told, written)), (command, told, written)


def test_a_wrong_example_is_noticed() -> None:
    """The comparison overlooks timestamps, and nothing else."""
    written = {"value": "hello", "version": "470724098465988608", "entries": [None, {"a": 1}]}
    assert _alike({**written, "version": "470724098465988609"}, written)
    for wrong in (
        {**written, "value": "hullo"},
        {**written, "version": 470724098465988609},
        {**written, "entries": [None]},
        {**written, "entries": [None, {"a": True}]},
        {**written, "more": 1},
    ):
        assert not _alike(wrong, written)


def test_the_page_names_what_there_is() -> None:
    """Paths, codes and limits on the page exist."""
    text = PAGE.read_text(encoding="utf-8")
    paths = {urlsplit(one).path for one in re.findall(r"/v1/[a-z./]+", text)}
    known = {ROOT + route.path.partition("{")[0] for route in ROUTES} | {f"{ROOT}/openapi.json"}
    assert {path for path in paths if not any(path.startswith(one) for one in known)} == set()
    table = text.partition("## Errors")[2].partition("## Running")[0]
    told = {code for row in table.splitlines() if row.startswith("| ") for code in _codes(row)}
    own = {"not_found", "method_not_allowed", "unsupported_media_type"}
    assert told - own <= set(codes(FastnessError))
    limits = set(re.findall(r"`(?:limits\.)?(http_[a-z_]+)`", text))
    assert limits <= {one for one in fastness.Limits.__dataclass_fields__ if "http" in one}
    assert limits


def _codes(row: str) -> list[str]:
    return re.findall(r"`([a-z]+_?[a-z_]+)`", row.split("|")[2])
