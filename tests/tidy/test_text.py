"""The checks of any text file, each on a planted violation and on its nearest lawful twin."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from tests.tidy.planted import planted
from tools.tidy import text

PAGE = PurePosixPath("docs/operations/BACKUP.md")


@pytest.mark.parametrize("line", ["# TO~DO: later", "FIX~ME", "a XX~X b"])
def test_work_is_not_left_for_later(line: str) -> None:
    """A mark of unfinished work is found, with its line."""
    (finding,) = text.unfinished(PAGE, planted("fine\n" + line))
    assert finding.line == 2


def test_words_that_contain_a_mark_pass() -> None:
    """Only the mark itself counts, not a word or a template that contains it."""
    assert not list(text.unfinished(PAGE, "mastodon TODOS mkstemp(XXXXXX) to do"))


@pytest.mark.parametrize(
    "line",
    ["path = '/ro~ot/data'", "see /ho~me/ana/x", "open('/tm~p/x')", "cd /Us~ers/ana", "here/ok"],
)
def test_a_path_of_one_machine_is_found(line: str) -> None:
    """Absolute paths of one machine are found, the checkout's own among them."""
    found = list(text.machine_paths(PAGE, planted(line), root="/srv/checkout"))
    assert len(found) == (line != "here/ok")
    assert len(list(text.machine_paths(PAGE, "in /srv/checkout/x", root="/srv/checkout"))) == 1


@pytest.mark.parametrize(
    "line",
    ["/usr/share/doc", "a/root/b", "file:./data", "{base}/home/x", "https://a.example/home/x", "/"],
)
def test_other_paths_pass(line: str) -> None:
    """The demo's default, relative paths and addresses are lawful."""
    assert not list(text.machine_paths(PAGE, line, root="/"))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("README.md", "https://py~pi.org/project/x"),
        ("docs/A.md", "files.pythonho~sted.org"),
        ("requirements/dev.lock", "--index-url https://a.example/simple"),
        ("requirements/dev.lock", "--find-links wheels"),
    ],
)
def test_a_registry_is_not_chosen(path: str, line: str) -> None:
    """The host of a registry is found anywhere, the choice of one in a lock."""
    assert len(list(text.registries(PurePosixPath(path), planted(line)))) == 1


def test_a_makefile_may_say_that_no_index_is_written() -> None:
    """An option of another tool passes outside the locks."""
    assert not list(text.registries(PurePosixPath("Makefile"), "\t--no-emit-index-url \\"))


@pytest.mark.parametrize("target", ["../MISSING.md", "missing.md#part", "/docs/missing.md"])
def test_a_link_to_nothing_is_found(target: str) -> None:
    """A relative link is followed from its page, and found if it leads nowhere."""
    found = list(text.broken_links(PAGE, f"[a page]({target})", lambda _path: False))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("target", "resolved"),
    [
        ("../KEYS.md", "docs/KEYS.md"),
        ("RESTORE.md#steps", "docs/operations/RESTORE.md"),
        ("../../README.md", "README.md"),
        ("/LICENSE", "LICENSE"),
    ],
)
def test_a_link_is_resolved_from_its_page(target: str, resolved: str) -> None:
    """A link resolves as a browser of the repository would."""
    known = {PurePosixPath(resolved)}
    assert not list(text.broken_links(PAGE, f"[a page]({target})", known.__contains__))


@pytest.mark.parametrize("link", ["https://a.example/x", "#part", "mailto:a@a.example"])
def test_a_link_to_elsewhere_is_not_followed(link: str) -> None:
    """Addresses and places in the page itself are not looked up."""
    assert not list(text.broken_links(PAGE, f"[x]({link})", lambda _path: False))
