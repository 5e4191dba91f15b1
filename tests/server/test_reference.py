"""docs/SERVER.md has every setting and every figure, as the code has them."""

from __future__ import annotations

import re
from dataclasses import fields

from fastness.errors import FastnessError
from fastness.node import Counts
from fastness.server.exposition import Kind
from fastness.server.figures import MEASURES
from fastness.server.helps import NODE, NOW, TRANSPORT
from fastness.server.settings import SETTINGS
from fastness.transport.counts import TransportCounts
from tools.server_reference import PAGE, page


def test_the_page_is_current() -> None:
    """The tables were written from the code as it is now."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run: python -m tools.server_reference"
    for setting in SETTINGS.values():
        assert f"| `{setting.name}` |" in text
    for measure in MEASURES:
        assert f"| `{measure.name}` |" in text


def test_every_count_has_its_help() -> None:
    """A count that is added is told what it means."""
    assert set(NODE) == {field.name for field in fields(Counts)}
    assert set(TRANSPORT) == {field.name for field in fields(TransportCounts)}
    assert set(TRANSPORT) >= NOW


def test_figures_keep_to_the_conventions() -> None:
    """Names are Prometheus', unique, with `_total` on what only rises, and a help that says it."""
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)
    for measure in MEASURES:
        assert re.fullmatch(r"fastness_[a-z0-9_]+", measure.name)
        assert measure.name.endswith("_total") == (measure.kind is Kind.COUNTER), measure.name
        if measure.kind is Kind.HISTOGRAM:
            assert measure.name.endswith("_seconds")
        assert measure.help.endswith(".")


def test_the_codes_on_the_page_exist() -> None:
    """A runbook of an error that nobody raises helps nobody."""
    text = PAGE.read_text(encoding="utf-8").partition("## What you see, and what to do")[2]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    told = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}
    assert told
    assert told <= set(codes(FastnessError))


def codes(kind: type[FastnessError]) -> list[str]:
    """The codes of an error and of all below it."""
    return [kind.code, *(code for one in kind.__subclasses__() for code in codes(one))]
