"""How a line of the shell may go on: statements, kinds, indexes, keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from fastness import Transaction
from fastness.cli.notation import parsed, shown
from fastness.cli.shell.records import StoredSchema
from fastness.cli.shell.session import SETTINGS, Session
from fastness.cli.shell.statements import STATEMENTS
from fastness.encoding.intervals import USER_END, prefix_end
from fastness.errors import FastnessError

PROPOSED_MAX = 50
_ON_KEYS = frozenset({"get", "set", "delete", "scan"})
_ON_INDEXES = frozenset({"query", "count", "explain"})


def proposals(session: Session, line: str) -> list[str]:
    """The words that may stand where the last word of `line` is being written."""
    before, _, last = line.rpartition(" ")
    if not before.strip():
        return [name for name in (*STATEMENTS, *SETTINGS) if name.startswith(last)]
    name, *rest = before.split()
    try:
        with session.database() as opened, opened.transaction(read_only=True) as tx:
            found = _words(tx, name, len(rest), last)
            return [word for word in found if word.startswith(last)]
    except FastnessError:
        return []  # A proposal is a courtesy: the statement itself will tell what is wrong.


def _words(tx: Transaction, name: str, position: int, last: str) -> Iterable[str]:
    if name in _ON_KEYS and (position == 0 or name == "delete"):
        return _keys(tx, last)
    if position > 0 or name not in STATEMENTS:
        return ()
    plans = StoredSchema().bind(tx).by_name
    if name in _ON_INDEXES:
        return [f"{kind}.{part.name}" for kind in plans for part in plans[kind].stored.indexes]
    if name == "total":
        return [f"{kind}.{part.name}" for kind in plans for part in plans[kind].stored.totals]
    return sorted(plans)


def _keys(tx: Transaction, last: str) -> Iterator[str]:
    """The first keys that begin as the word does; one in brackets is compared as shown."""
    prefix = b"" if last.startswith(("(", '"', "hex:", "base64:")) else parsed(last)
    end = min(prefix_end(prefix), USER_END) if prefix else USER_END
    for key, _value in tx.scan(prefix, end, limit=PROPOSED_MAX):
        yield shown(key)


class ShellCompleter(Completer):
    """`proposals` for prompt_toolkit."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(self, document: Document, _event: CompleteEvent) -> Iterator[Completion]:
        """The proposals for what stands before the cursor."""
        line = document.text_before_cursor
        last = line.rpartition(" ")[2]
        for word in proposals(self._session, line):
            yield Completion(word, start_position=-len(last))
