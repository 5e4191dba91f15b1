"""What the statements of the shell do: one function each, on one transaction.

A statement reads or writes through the transaction it is given and answers rows to print. It
may run again after a conflict, so it prints nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from fastness import Transaction
from fastness.cli.notation import parsed, shown, shown_value
from fastness.cli.shell.records import StoredSchema, document_of, fields_of, values_of
from fastness.encoding.intervals import USER_END, prefix_end
from fastness.errors import InvalidOption, RecordNotFound
from fastness.model.by_name import changes_of, index_of, plan_of, record_of, total_of
from fastness.model.plans import KindPlan
from fastness.model.stored import State, StoredIndex, StoredTotal

LINES_MAX = 100
"""What scan, list and query show unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement found, for a person (`text`) and for a program (`document`)."""

    text: str
    document: object


@dataclass(frozen=True, slots=True)
class Call:
    """A statement about to run: its words, and where the stored schema comes from."""

    words: list[str]
    limit: int
    schema: StoredSchema


Body: TypeAlias = Callable[[Transaction, Call], list[Answer]]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of the shell."""

    name: str
    arguments: str
    purpose: str
    body: Body
    words_min: int
    words_max: int | None
    """`None`: any number."""

    def require_words(self, words: list[str]) -> None:
        """Refuse a wrong number of words with how it is written."""
        most = self.words_max
        if len(words) < self.words_min or (most is not None and len(words) > most):
            raise InvalidOption(f"write: {self.name} {self.arguments}".rstrip())


def _get(tx: Transaction, call: Call) -> list[Answer]:
    key = parsed(call.words[0])
    value = tx.get(key)
    if value is None:
        raise RecordNotFound(f"there is no key {shown(key)}")
    return [Answer(shown_value(value), {"key": shown(key), "value": shown_value(value)})]


def _set(tx: Transaction, call: Call) -> list[Answer]:
    tx.set(parsed(call.words[0]), parsed(call.words[1]))
    return []


def _delete(tx: Transaction, call: Call) -> list[Answer]:
    for word in call.words:
        tx.delete(parsed(word))
    return []


def _scan(tx: Transaction, call: Call) -> list[Answer]:
    prefix = parsed(call.words[0]) if call.words else b""
    end = min(prefix_end(prefix), USER_END) if prefix else USER_END
    page = tx.scan(prefix, end, limit=call.limit)
    found = [
        Answer(
            f"{shown(key)}\t{shown_value(value)}", {"key": shown(key), "value": shown_value(value)}
        )
        for key, value in page
    ]
    return found + _more(page.continuation is not None)


def _more(more: bool) -> list[Answer]:
    return [Answer("... there is more: 'limit 1000' shows more", {"more": True})] if more else []


def _kinds(tx: Transaction, call: Call) -> list[Answer]:
    plans = call.schema.bind(tx).by_name
    return [_described(plans[name]) for name in sorted(plans)]


def _described(plan: KindPlan[Any]) -> Answer:
    key = ", ".join(column.field for column in plan.kind.key)
    document = {
        "kind": plan.name,
        "key": [column.field for column in plan.kind.key],
        "fields": {field.name: str(field.shape) for field in plan.stored.fields},
        "indexes": [index.name for index in plan.stored.indexes],
        "totals": [total.name for total in plan.stored.totals],
    }
    parts = [*(one.name for one in plan.stored.indexes), *(one.name for one in plan.stored.totals)]
    has = f": {', '.join(parts)}" if parts else ""
    return Answer(f"{plan.name} ({key}){has}", document)


def _describe(tx: Transaction, call: Call) -> list[Answer]:
    plan = plan_of(call.schema.bind(tx), call.words[0])
    summary = _described(plan)
    lines = [summary.text]
    lines += [f"  {field.name}: {field.shape}" for field in plan.stored.fields]
    lines += [f"  index {_index_text(index)}" for index in plan.stored.indexes]
    lines += [f"  total {_total_text(total)}" for total in plan.stored.totals]
    return [Answer("\n".join(lines), summary.document)]


def _index_text(index: StoredIndex) -> str:
    columns = [
        f"desc {column.name}" if column.descending else column.name for column in index.columns
    ]
    marks = [word for word in ("unique", "clustered") if getattr(index, word)]
    if index.conditions:
        marks.append("partial")
    if index.state is not State.READABLE:
        marks.append("being built")
    return " ".join([index.name, f"({', '.join(columns)})", ", ".join(marks)]).rstrip()


def _total_text(total: StoredTotal) -> str:
    what = "count" if total.summed is None else f"sum of {total.summed}"
    return f"{total.name}: {what} by ({', '.join(column.name for column in total.group)})"


def _shown_record(record: Any) -> Answer:  # noqa: ANN401 - a record of any kind
    return Answer(msgspec.json.encode(record).decode(), record)


def _fetch(tx: Transaction, call: Call) -> list[Answer]:
    plan = plan_of(call.schema.bind(tx), call.words[0])
    return [_shown_record(tx.require(plan.record, *_key_of(plan, call.words[1:])))]


def _key_of(plan: KindPlan[Any], texts: list[str]) -> list[Any]:
    return values_of(plan.kind.key, texts, f"the key of {plan.name}")


def _list(tx: Transaction, call: Call) -> list[Answer]:
    plan = plan_of(call.schema.bind(tx), call.words[0])
    page = tx.every(plan.record, limit=call.limit)
    return [_shown_record(one) for one in page] + _more(page.continuation is not None)


def _query(tx: Transaction, call: Call) -> list[Answer]:
    schema = call.schema.bind(tx)
    _plan, index = index_of(schema, call.words[0])
    values = values_of(schema.index(index).columns, call.words[1:], call.words[0])
    page = tx.query(index, *values, limit=call.limit)
    return [_shown_record(one) for one in page] + _more(page.continuation is not None)


def _count(tx: Transaction, call: Call) -> list[Answer]:
    schema = call.schema.bind(tx)
    _plan, index = index_of(schema, call.words[0])
    values = values_of(schema.index(index).columns, call.words[1:], call.words[0])
    counted = tx.count(index, *values)
    return [Answer(f"{counted}", {"count": counted})]


def _total(tx: Transaction, call: Call) -> list[Answer]:
    schema = call.schema.bind(tx)
    _plan, total = total_of(schema, call.words[0])
    group = values_of(schema.total(total).definition.group, call.words[1:], call.words[0])
    amount = tx.total(total, *group)
    return [Answer(f"{amount}", {"total": amount})]


def _explain(tx: Transaction, call: Call) -> list[Answer]:
    schema = call.schema.bind(tx)
    _plan, index = index_of(schema, call.words[0])
    values = values_of(schema.index(index).columns, call.words[1:], call.words[0])
    explanation = tx.explain(index, *values, limit=call.limit)
    document = {
        "index": explanation.index,
        "columns": explanation.columns,
        "given": explanation.given,
        "clustered": explanation.clustered,
        "entries": explanation.entries,
        "lookups": explanation.lookups,
        "bytes": explanation.bytes,
        "complete": explanation.complete,
        "counter": explanation.counter,
    }
    return [Answer(str(explanation), document)]


def _insert(tx: Transaction, call: Call) -> list[Answer]:
    plan = plan_of(call.schema.bind(tx), call.words[0])
    return [_shown_record(tx.insert(record_of(plan, document_of(call.words[1]))))]


def _put(tx: Transaction, call: Call) -> list[Answer]:
    plan = plan_of(call.schema.bind(tx), call.words[0])
    return [_shown_record(tx.put(record_of(plan, document_of(call.words[1]))))]


def _patch(tx: Transaction, call: Call) -> list[Answer]:
    plan = plan_of(call.schema.bind(tx), call.words[0])
    changes = changes_of(plan, fields_of(call.words[-1]))
    return [_shown_record(tx.patch(plan.record, *_key_of(plan, call.words[1:-1]), **changes))]


def _remove(tx: Transaction, call: Call) -> list[Answer]:
    plan = plan_of(call.schema.bind(tx), call.words[0])
    key = _key_of(plan, call.words[1:])
    removed = tx.remove(plan.record, *key)
    if removed is None:
        raise RecordNotFound(f"{plan.shown(key)} does not exist")
    return [_shown_record(removed)]


READS = (
    Statement("get", "KEY", "the value of a key", _get, 1, 1),
    Statement("scan", "[PREFIX]", "keys and values in order", _scan, 0, 1),
    Statement("kinds", "", "the kinds of records", _kinds, 0, 0),
    Statement("describe", "KIND", "the fields and indexes of a kind", _describe, 1, 1),
    Statement("fetch", "KIND KEY...", "one record", _fetch, 2, None),
    Statement("list", "KIND", "records as they are stored", _list, 1, 1),
    Statement("query", "KIND.INDEX [VALUE...]", "records by index", _query, 1, None),
    Statement("count", "KIND.INDEX [VALUE...]", "how many query has", _count, 1, None),
    Statement("total", "KIND.TOTAL [VALUE...]", "a count or sum that is kept", _total, 1, None),
    Statement("explain", "KIND.INDEX [VALUE...]", "what a query reads", _explain, 1, None),
)
WRITES = (
    Statement("set", "KEY VALUE", "write a value", _set, 2, 2),
    Statement("delete", "KEY...", "remove keys together", _delete, 1, None),
    Statement("insert", "KIND {JSON}", "a new record", _insert, 2, 2),
    Statement("put", "KIND {JSON}", "a record, new or replaced", _put, 2, 2),
    Statement("patch", "KIND KEY... {JSON}", "change some fields of a record", _patch, 3, None),
    Statement("remove", "KIND KEY...", "remove a record", _remove, 2, None),
)
STATEMENTS = {one.name: one for one in (*READS, *WRITES)}
"""Every statement on a transaction, by name, in the order help lists them."""
