"""Tokens: values that move between keys, never lost and never doubled, found by long scans.

A transaction moves a token by deleting it under one key and writing it under another. So at
any moment each token is under exactly one key, and a scan of all keys at one timestamp finds each
once, however many pages it took, whatever ranges split or moved meanwhile. Pages of one process
at one timestamp are put together; a scan that was not finished is judged as far as it came.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final

from fastness.testing._accusations import Accuser, report_on
from fastness.testing._ledger_words import shown_bytes, shown_moment
from fastness.testing.ledger import Attempt, Scanned
from fastness.testing.report import Report

_TITLES: Final = {
    "missing-token": "a complete scan did not find a token",
    "double-token": "a scan found a token under two keys",
    "strange-token": "a scan found what is no token",
    "disordered-page": "a page is not in key order, or holds keys outside its interval",
}


def check_tokens(
    attempts: Sequence[Attempt], tokens: Collection[bytes], *, begin: bytes, end: bytes
) -> Report:
    """Judge the scans within [begin, end), where each of the tokens always is under one key."""
    report = report_on("tokens", attempts)
    judge = _Judge(Accuser(report, _TITLES), tokens, begin, end)
    scans: dict[tuple[int, int], list[tuple[Scanned, Attempt]]] = {}
    for one in attempts:
        for scan in one.scans:
            if begin <= scan.begin and scan.end <= end and not scan.after and one.read_timestamp:
                scans.setdefault((one.process, one.read_timestamp), []).append((scan, one))
    for (_, timestamp), pages in scans.items():
        judge.judge(timestamp, pages)
    return report


class _Judge:
    """The judgement on scans, one after another."""

    def __init__(
        self, accuser: Accuser, tokens: Collection[bytes], begin: bytes, end: bytes
    ) -> None:
        self.accuser = accuser
        self.tokens = dict.fromkeys(tokens)
        self.begin = begin
        self.end = end

    def judge(self, timestamp: int, pages: Sequence[tuple[Scanned, Attempt]]) -> None:
        """Judge the pages that one process read at one timestamp."""
        places: dict[bytes, dict[bytes, Attempt]] = {}
        for page, one in pages:
            self._judge_page(page, one)
            for key, token in page.entries:
                places.setdefault(token, {})[key] = one
        when = shown_moment(timestamp)
        for token, keys in places.items():
            if token not in self.tokens:
                what = f"{shown_bytes(token)} under {_named(keys)} at {when}"
                self.accuser.accuse("strange-token", what, keys.values(), *keys)
            elif len(keys) > 1:
                what = f"{shown_bytes(token)} is under {_named(keys)} at {when}"
                self.accuser.accuse("double-token", what, keys.values(), *keys)
        if _covers([page for page, _ in pages], self.begin, self.end):
            missing = [token for token in self.tokens if token not in places]
            if missing:
                shown = ", ".join(shown_bytes(token) for token in missing[:8])
                what = f"{len(missing)} of {len(self.tokens)} are nowhere at {when}: {shown}"
                self.accuser.accuse("missing-token", what, (one for _, one in pages))

    def _judge_page(self, page: Scanned, one: Attempt) -> None:
        keys = [key for key, _ in page.entries]
        ordered = all(before < after for before, after in pairwise(keys))
        if not ordered or (keys and not page.begin <= keys[0] <= keys[-1] < page.end):
            what = f"{one.name} found {_named(keys)} in [{shown_bytes(page.begin)}, "
            what += f"{shown_bytes(page.end)})"
            self.accuser.accuse("disordered-page", what, (one,))


def _named(keys: Collection[bytes]) -> str:
    return ", ".join(shown_bytes(key) for key in list(keys)[:6])


def _covers(pages: Sequence[Scanned], begin: bytes, end: bytes) -> bool:
    """Whether the pages leave nothing of the interval out."""
    reached = begin
    for page in sorted(pages):
        if page.begin <= reached:
            reached = max(reached, page.end)
    return reached >= end
