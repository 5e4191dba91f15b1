"""The gateway of a real server: keys, transactions, records, as if no client existed."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

import fastness
from fastness.model import Count, Entity, Index, Sum, Version
from tests.server.gateways import Caller, calling, gateway
from tests.server.processes import ServerProcess

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


class User(Entity, key="id"):
    """Has versions, a unique index, and totals."""

    id: str
    email: str
    team: str = ""
    points: int = 0
    joined: datetime
    version: Version = 0
    by_email = Index("email", unique=True)
    by_team = Index("team", "points")
    per_team = Count("team")
    team_points = Sum("points", "team")


class Part(Entity, key=("depot", "number", "code")):
    """Has a key of several types."""

    depot: UUID
    number: int
    code: bytes


@pytest.fixture(scope="module", name="server")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for the tests of this module, which use keys of their own."""
    with gateway(tmp_path_factory.mktemp("gateway") / "data") as server:
        with fastness.open(server.told["urls"][0], schema=[User, Part]) as database:
            assert database.wait_until_readable(User.by_email, User.by_team, timeout=60)
        yield server


@pytest.fixture(name="caller")
def calls(server: ServerProcess) -> Iterator[Caller]:
    """Somebody who asks it."""
    with calling(server) as caller:
        yield caller


@pytest.fixture(name="database")
def beside(server: ServerProcess) -> Iterator[fastness.Database]:
    """A client of the same server, which must see the same."""
    with fastness.open(server.told["urls"][0]) as database:
        yield database


# ------------------------------------------------------------------ keys


def test_one_key(caller: Caller, database: fastness.Database) -> None:
    """A value is written, read with its version, seen by others, and removed."""
    written = caller.ask("PUT", "/keys/one/key%20%ff", {"value": "hello"})
    version = written.document["commit_timestamp"]
    assert written.headers["etag"] == f'"{version}"'
    assert database.get(b"one/key \xff") == b"hello"
    read = caller.ask("GET", "/keys/one/key%20%ff")
    assert read.headers["etag"] == f'"{version}"'
    assert read.document["key"] == {"base64": base64.b64encode(b"one/key \xff").decode()}
    assert (read.document["value"], read.document["version"]) == ("hello", version)
    assert caller.ask("HEAD", "/keys/one/key%20%ff").status == 200
    caller.done("DELETE", "/keys/one/key%20%ff")
    assert caller.refused("GET", "/keys/one/key%20%ff") == (404, "record_not_found")
    past = caller.done("GET", f"/keys/one/key%20%ff?at={version}&show_value=base64")
    assert past["value"] == {"base64": "aGVsbG8="}


def test_conditions_of_one_key(caller: Caller) -> None:
    """Entity tags guard against writing over what somebody else has written."""
    first = caller.ask("PUT", "/keys/tag", {"value": "1"}, headers={"If-None-Match": "*"})
    assert first.status == 200
    tag = str(first.headers["etag"])
    body = {"value": "2"}
    assert caller.refused("PUT", "/keys/tag", body, **{"If-None-Match": "*"}) == (
        412,
        "precondition_failed",
    )
    second = caller.ask("PUT", "/keys/tag", body, headers={"If-Match": tag})
    assert second.status == 200
    assert caller.refused("PUT", "/keys/tag", body, **{"If-Match": tag})[0] == 412
    assert caller.refused("DELETE", "/keys/tag", **{"If-Match": tag})[0] == 412
    assert caller.refused("PUT", "/keys/tag", body, **{"If-Match": 'W/"1"'})[0] == 400
    caller.done("DELETE", "/keys/tag", **{"If-Match": "*"})
    assert caller.refused("DELETE", "/keys/tag", **{"If-Match": "*"})[0] == 412


def test_many_keys_at_one_moment(caller: Caller) -> None:
    """Keys of every form are read together, in the order asked, now and as of a timestamp."""
    committed = caller.commit(
        {"op": "set", "key": "many/a", "value": "1"},
        {"op": "set", "key": {"tuple": ["many", 7]}, "value": {"base64": "AP8="}},
    )
    at = committed["commit_timestamp"]
    caller.commit({"op": "set", "key": "many/a", "value": "2"})
    keys = ["many/a", "many/none", {"tuple": ["many", 7]}, "many/a"]
    now = caller.done("POST", "/read", {"keys": keys, "show_keys": "auto"})
    assert [one and one["value"] for one in now["entries"]] == ["2", None, {"base64": "AP8="}, "2"]
    then = caller.done("POST", "/read", {"keys": keys, "at": at})
    assert [one and one["value"] for one in then["entries"]] == ["1", None, {"base64": "AP8="}, "1"]
    assert then["read_timestamp"] == at
    assert then["entries"][0]["version"] == at
    ahead = str(int(now["read_timestamp"]) + (1 << 40))
    assert caller.refused("POST", "/read", {"keys": keys, "at": ahead}) == (
        400,
        "invalid_timestamp",
    )


def test_scans_go_on_by_their_continuation(caller: Caller) -> None:
    """Pages of one snapshot show each entry once, forward and backward."""
    caller.commit(*({"op": "set", "key": f"page/{at:02}", "value": "v" * at} for at in range(10)))
    asked: dict[str, Any] = {}
    for reverse in (False, True):
        asked = {"prefix": "page/", "limit": 3, "reverse": reverse}
        seen: list[str] = []
        while True:
            page = caller.done("POST", "/scan", asked)
            seen += [one["key"] for one in page["entries"]]
            if page["continuation"] is None:
                break
            if len(seen) == 3:
                # The snapshot of the first page goes on, whatever is written meanwhile.
                caller.commit({"op": "delete", "key": "page/05"})
                asked["at"] = page["read_timestamp"]
            asked["continuation"] = page["continuation"]
        assert sorted(seen, reverse=reverse) == seen
        assert len(seen) == 10
        caller.commit({"op": "set", "key": "page/05", "value": "v" * 5})
    between = caller.done("POST", "/scan", {"begin": "page/03", "end": "page/05"})
    assert [one["key"] for one in between["entries"]] == ["page/03", "page/04"]
    both = {"prefix": "page/", "begin": "page/"}
    assert caller.refused("POST", "/scan", both) == (400, "invalid_option")
    other = {"prefix": "page", "continuation": asked["continuation"]}
    assert caller.refused("POST", "/scan", other) == (400, "invalid_continuation")
    assert caller.refused("POST", "/scan", {"limit": 10**9}) == (400, "invalid_option")


def test_large_values_come_in_bounded_pages(caller: Caller) -> None:
    """A page ends where it has become large, and goes on behind it; too many keys are refused."""
    for at in range(20):
        caller.done("PUT", f"/keys/large/{at:02}", {"value": "x" * 1_000_000})
    asked: dict[str, Any] = {"prefix": "large/"}
    counts = []
    while "continuation" not in asked or asked["continuation"] is not None:
        page = caller.done("POST", "/scan", asked)
        counts.append(len(page["entries"]))
        asked["continuation"] = page["continuation"]
    assert sum(counts) == 20
    assert max(counts) < 20
    keys = [f"large/{at:02}" for at in range(20)]
    assert caller.refused("POST", "/read", {"keys": keys}) == (413, "limit_exceeded")
    caller.commit({"op": "delete_range", "prefix": "large/"})


# ------------------------------------------------------------------ transactions


def test_operations(caller: Caller) -> None:
    """Every operation on keys does what it says, all at one instant."""
    caller.commit(
        {"op": "set", "key": "op/gone", "value": "x"},
        {"op": "set", "key": "op/range/a", "value": "x"},
        {"op": "set", "key": "op/same", "value": "clear me"},
        {"op": "set", "key": "op/other", "value": "keep me"},
    )
    committed = caller.commit(
        {"op": "delete", "key": "op/gone"},
        {"op": "delete_range", "prefix": "op/range/"},
        {"op": "add", "key": "op/sum", "amount": 5},
        {"op": "add", "key": "op/sum", "amount": -2},
        {"op": "max", "key": "op/max", "amount": 7},
        {"op": "min", "key": "op/min", "amount": -7},
        {"op": "append", "key": "op/text", "value": "ab"},
        {"op": "append", "key": "op/text", "value": "c"},
        {"op": "compare_and_clear", "key": "op/same", "value": "clear me"},
        {"op": "compare_and_clear", "key": "op/other", "value": "clear me"},
        {"op": "set_versionstamped_key", "prefix": "op/log/", "value": "entry"},
        {"op": "set_versionstamped_value", "key": "op/stamp"},
    )
    stamp = base64.b64decode(committed["versionstamp"])
    found = caller.done("POST", "/scan", {"prefix": "op/", "show_values": "base64"})["entries"]
    texts = {str(one["key"]): base64.b64decode(one["value"]["base64"]) for one in found}
    log_key = str({"base64": base64.b64encode(b"op/log/" + stamp).decode()})
    assert texts.pop(log_key) == b"entry"
    assert texts == {
        "op/sum": (3).to_bytes(8, "little"),
        "op/max": (7).to_bytes(8, "little"),
        "op/min": (-7).to_bytes(8, "little", signed=True),
        "op/text": b"abc",
        "op/other": b"keep me",
        "op/stamp": stamp,
    }
    shown = caller.done("POST", "/scan", {"prefix": "op/sum", "show_values": "counter"})
    assert shown["entries"][0]["value"] == {"counter": 3}


def test_values_expire(caller: Caller) -> None:
    """A value with an end is there until then, and not behind it."""
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    caller.commit(
        {"op": "set", "key": "ttl/soon", "value": "x", "expires_at": soon},
        {"op": "set", "key": "ttl/past", "value": "x", "expires_at": past},
        {"op": "set", "key": "ttl/ms", "value": "x", "ttl_ms": 3_600_000},
    )
    assert caller.value("ttl/soon") == "x"
    assert caller.value("ttl/ms") == "x"
    assert caller.value("ttl/past") is None
    both = {"op": "set", "key": "ttl/x", "value": "", "expires_at": soon, "ttl_ms": 1}
    assert caller.refused("POST", "/transaction", {"operations": [both]})[0] == 400


def test_nothing_is_done_where_a_demand_fails(caller: Caller) -> None:
    """Each kind of precondition holds or refuses the whole."""
    version = caller.commit({"op": "set", "key": "pre/a", "value": "1"})["commit_timestamp"]
    holds: list[dict[str, Any]] = [
        {"require": "present", "key": "pre/a"},
        {"require": "absent", "key": "pre/none"},
        {"require": "value", "key": "pre/a", "value": "1"},
        {"require": "version", "key": "pre/a", "version": version},
    ]
    write = [{"op": "set", "key": "pre/done", "value": "yes"}]
    assert caller.commit(*write, preconditions=holds)["repeated"] is False
    caller.commit({"op": "delete", "key": "pre/done"})
    fails: list[dict[str, Any]] = [
        {"require": "present", "key": "pre/none"},
        {"require": "absent", "key": "pre/a"},
        {"require": "value", "key": "pre/a", "value": "2"},
        {"require": "value", "key": "pre/none", "value": ""},
        {"require": "version", "key": "pre/a", "version": "1"},
    ]
    for one in fails:
        body = {"preconditions": [*holds, one], "operations": write}
        assert caller.refused("POST", "/transaction", body) == (412, "precondition_failed"), one
    assert caller.value("pre/done") is None


def test_writing_upon_what_was_read(caller: Caller) -> None:
    """A transaction that names what it read is refused once any of it was written since."""
    caller.commit({"op": "set", "key": "read/a", "value": "1"})
    seen = caller.done("POST", "/scan", {"prefix": "read/"})["read_timestamp"]
    read = {
        "read_timestamp": seen,
        "keys": ["read/a"],
        "intervals": [{"begin": "read/", "end": "read0"}],
    }
    write = {"op": "set", "key": "read/b", "value": "2"}
    caller.commit(write, read=read)
    body = {"read": read, "operations": [write]}
    answer = caller.ask("POST", "/transaction", body)
    assert (answer.status, answer.document["error"]) == (409, "conflict")
    assert answer.document["retryable"] is True
    ahead = {"read_timestamp": "9000000000000000000"}
    assert caller.refused("POST", "/transaction", {"read": ahead, "operations": [write]}) == (
        400,
        "invalid_timestamp",
    )


def test_an_id_makes_it_once(caller: Caller) -> None:
    """However often one id is sent, by whichever way, its transaction is done once."""
    add = {"op": "add", "key": "once", "amount": 1}
    first = caller.commit(add, id="once-1")
    again = caller.commit(add, id="once-1")
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert first["commit_timestamp"] == again["commit_timestamp"]
    assert first["versionstamp"] == again["versionstamp"]
    shown = caller.done("GET", "/keys/once?show_value=counter")
    assert shown["value"] == {"counter": 1}
    other = {"id": "once-1", "operations": [add, add]}
    assert caller.refused("POST", "/transaction", other) == (400, "invalid_option")
    # What was read is no longer as it was, because of the very first sending.
    read = {"read_timestamp": shown["read_timestamp"], "keys": ["once"]}
    first = caller.commit(add, id="once-2", read=read)
    again = caller.commit(add, id="once-2", read=read)
    assert (first["repeated"], again["repeated"]) == (False, True)
    headers = {"Idempotency-Key": "once-3"}
    first = caller.done("PUT", "/keys/once-3", {"value": "x"}, **headers)
    caller.done("DELETE", "/keys/once-3")
    assert caller.done("PUT", "/keys/once-3", {"value": "x"}, **headers)["repeated"] is True
    assert caller.value("once-3") is None


def test_an_id_sent_by_many_at_once(server: ServerProcess) -> None:
    """Copies of one transaction that run at the same time are done once, and told the same."""
    told: list[Any] = []

    def send() -> None:
        with calling(server) as caller:
            add = {"op": "add", "key": "crowd", "amount": 1}
            told.append(caller.commit(add, {"op": "set", "key": "crowd/x", "value": "1"}, id="c"))

    _together([threading.Thread(target=send) for _ in range(8)])
    assert len({one["commit_timestamp"] for one in told}) == 1
    assert sorted(one["repeated"] for one in told) == [False] + [True] * 7
    with calling(server) as caller:
        assert caller.done("GET", "/keys/crowd?show_value=counter")["value"] == {"counter": 1}


def test_no_update_is_lost(server: ServerProcess) -> None:
    """Callers that read, then write if nobody did meanwhile, count to what they did together."""

    def count_up() -> None:
        with calling(server) as caller:
            done = 0
            while done < 10:
                entry = caller.done("GET", "/keys/count")
                answer = caller.ask(
                    "PUT",
                    "/keys/count",
                    {"value": str(int(entry["value"]) + 1)},
                    headers={"If-Match": f'"{entry["version"]}"'},
                )
                assert answer.status in {200, 412}
                done += answer.status == 200

    with calling(server) as caller:
        caller.done("PUT", "/keys/count", {"value": "0"})
        _together([threading.Thread(target=count_up) for _ in range(4)])
        assert caller.value("count") == "40"


def _together(threads: list[threading.Thread]) -> None:
    for one in threads:
        one.start()
    for one in threads:
        one.join()


# ------------------------------------------------------------------ watches


def test_watching(server: ServerProcess, caller: Caller) -> None:
    """A watch is told of a change since a read, before or after it began; else time runs out."""
    seen = caller.done("GET", "/now")["timestamp"]
    quiet = {"keys": ["watch/a"], "seen": seen, "timeout_ms": 1}
    assert caller.done("POST", "/watch", quiet) == {"changed": []}
    told: list[Any] = []

    def wait() -> None:
        with calling(server) as other:
            asked = {"keys": ["watch/a", "watch/b"], "seen": seen, "timeout_ms": 60_000}
            told.append(other.done("POST", "/watch", asked))

    thread = threading.Thread(target=wait)
    thread.start()
    caller.commit({"op": "set", "key": "watch/b", "value": "1"})
    thread.join()
    assert told == [{"changed": ["watch/b"]}]
    late = {"keys": ["watch/b"], "seen": seen}
    assert caller.done("POST", "/watch", late) == {"changed": ["watch/b"]}
    too_long = {"keys": ["a"], "seen": seen, "timeout_ms": 10**9}
    assert caller.refused("POST", "/watch", too_long) == (400, "invalid_option")


# ------------------------------------------------------------------ records

ANN = {"id": "ann", "email": "ann@example.org", "team": "red", "points": 3}
JOINED = "2026-05-01T12:00:00Z"


def test_one_record(caller: Caller) -> None:
    """A record is stored, fetched, changed by its version and removed; classes are not needed."""
    body = {**ANN, "joined": JOINED}
    inserted = caller.ask("POST", "/records/User", body)
    assert inserted.status == 201
    first = inserted.document["version"]
    assert inserted.document["record"] == {**body, "version": int(first)}
    assert caller.refused("POST", "/records/User", body) == (409, "record_exists")
    taken = {**body, "id": "bob"}
    assert caller.refused("POST", "/records/User", taken) == (409, "unique_violation")
    fetched = caller.done("GET", "/records/User/ann")
    assert (fetched["record"], fetched["version"]) == (inserted.document["record"], first)
    patched = caller.done("PATCH", f"/records/User/ann?if_version={first}", {"points": 4})
    second = patched["version"]
    assert patched["record"]["points"] == 4
    stale = ("PATCH", f"/records/User/ann?if_version={first}", {"points": 5})
    assert caller.refused(*stale) == (409, "version_mismatch")
    put = caller.done("PUT", f"/records/User?if_version={second}", {**body, "points": 6})
    assert put["record"]["points"] == 6
    change = {"op": "patch", "kind": "User", "key": ["ann"], "changes": {"points": 7}}
    assert caller.commit({**change, "if_version": put["version"]})["versions"] != [put["version"]]
    old = {"operations": [{**change, "if_version": int(put["version"])}]}
    assert caller.refused("POST", "/transaction", old) == (409, "version_mismatch")
    at = fetched["read_timestamp"]
    assert caller.done("GET", f"/records/User/ann?at={at}")["record"]["points"] == 3
    assert caller.done("DELETE", "/records/User/ann")["record"]["points"] == 7
    assert caller.refused("DELETE", "/records/User/ann") == (404, "record_not_found")
    assert caller.refused("GET", "/records/User/ann") == (404, "record_not_found")
    for wrong in ({**body, "points": "many"}, {"id": "x"}, {**body, "joined": "noon"}):
        assert caller.refused("POST", "/records/User", wrong) == (400, "invalid_value")
    assert caller.refused("PATCH", "/records/User/ann", {"shoe": 1})[0] in {400, 404}
    assert caller.refused("GET", "/records/Unknown/x") == (400, "schema")


def test_keys_of_several_columns(caller: Caller) -> None:
    """Columns stand in the path as text, bytes as they are; in documents as records have them."""
    part = {"depot": "00000000-0000-0000-0000-000000000007", "number": -4, "code": "/w=="}
    caller.done("POST", "/records/Part", part)
    path = f"/records/Part/{part['depot']}/-4/%ff"
    assert caller.done("GET", path)["record"] == part
    assert caller.refused("GET", f"/records/Part/{part['depot']}/four/%ff") == (400, "invalid_key")
    assert caller.refused("GET", f"/records/Part/{part['depot']}/-4") == (400, "invalid_key")
    removed = caller.commit({"op": "remove", "kind": "Part", "key": list(part.values())})
    assert removed["records"] == [part]


def test_records_and_keys_in_one_transaction(caller: Caller) -> None:
    """Operations on both are one transaction; an id repeats the records it was answered."""
    people: list[dict[str, Any]] = [
        {"id": f"p{at}", "email": f"p{at}@x", "team": "blue", "points": at, "joined": JOINED}
        for at in range(5)
    ]
    inserts = [{"op": "insert", "kind": "User", "record": one} for one in people]
    mark = {"op": "set", "key": "people", "value": "5"}
    first = caller.commit(*inserts, mark, id="people")
    assert [one["id"] for one in first["records"]] == ["p0", "p1", "p2", "p3", "p4"]
    again = caller.commit(*inserts, mark, id="people")
    assert again == {**first, "repeated": True}
    body = {"operations": [{"op": "delete", "key": "people"}, inserts[0]]}
    assert caller.refused("POST", "/transaction", body) == (409, "record_exists")
    assert caller.value("people") == "5"

    query: dict[str, Any] = {"index": "User.by_team", "prefix": ["blue"], "at_least": 1, "limit": 2}
    page = caller.done("POST", "/query", query)
    assert [one["id"] for one in page["records"]] == ["p1", "p2"]
    rest = caller.done("POST", "/query", {**query, "continuation": page["continuation"]})
    assert [one["id"] for one in rest["records"]] == ["p3", "p4"]
    backward = caller.done("POST", "/query", {**query, "reverse": True, "below": 4})
    assert [one["id"] for one in backward["records"]] == ["p3", "p2"]
    by_email = {"index": "User.by_email", "starting_with": "p3"}
    assert caller.done("POST", "/query", by_email)["records"][0]["id"] == "p3"
    assert (
        caller.done("POST", "/count", {"index": "User.by_team", "prefix": ["blue"]})["number"] == 5
    )
    assert (
        caller.done("POST", "/count", {"index": "User.by_team", "prefix": ["blue"], "above": 2})[
            "number"
        ]
        == 2
    )
    assert (
        caller.done("POST", "/total", {"total": "User.per_team", "group": ["blue"]})["number"] == 5
    )
    assert (
        caller.done("POST", "/total", {"total": "User.team_points", "group": ["blue"]})["number"]
        == 10
    )
    listed = caller.done("GET", "/records/User?limit=3")
    more = caller.done("GET", f"/records/User?continuation={listed['continuation']}")
    assert len(listed["records"]) == 3
    assert {one["id"] for one in [*listed["records"], *more["records"]]} >= {"p0", "p4"}
    wrong = {"index": "User.by_shoe"}
    assert caller.refused("POST", "/query", wrong) == (400, "schema")
    assert caller.refused("POST", "/query", {**query, "at_least": "one"}) == (400, "invalid_key")


def test_kinds_are_described(caller: Caller) -> None:
    """The stored schema tells what a caller needs to know."""
    kinds = {one["kind"]: one for one in caller.done("GET", "/kinds")["kinds"]}
    assert set(kinds) >= {"User", "Part"}
    assert caller.done("GET", "/kinds/User") == kinds["User"]
    assert kinds["User"]["key"] == ["id"]
    assert kinds["User"]["version"] == "version"
    assert {one["name"] for one in kinds["User"]["indexes"]} == {"by_email", "by_team"}
    assert kinds["Part"]["key"] == ["depot", "number", "code"]


class Later(Entity, key="id"):
    """Registered while the server runs."""

    id: str


def test_the_schema_is_taken_up_as_it_changes(caller: Caller, database: fastness.Database) -> None:
    """A kind that is registered by whomever is known to the next request."""
    assert caller.refused("GET", "/kinds/Later") == (400, "schema")
    database.use(Later)
    caller.done("POST", "/records/Later", {"id": "x"})
    with database.transaction() as tx:
        assert tx.require(Later, "x") == Later(id="x")


def test_a_large_transaction(caller: Caller) -> None:
    """The largest transaction there is has room in a body; a larger one is refused as such."""
    value = {"base64": base64.b64encode(bytes(1_000_000)).decode()}
    sets = [{"op": "set", "key": f"big/{at}", "value": value} for at in range(11)]
    caller.commit(*sets[:10])
    body = {"operations": sets}
    assert caller.refused("POST", "/transaction", body) == (413, "limit_exceeded")
    caller.commit({"op": "delete_range", "prefix": "big/"})


def test_what_it_did_is_measured(server: ServerProcess, caller: Caller) -> None:
    """Answers by status, times by operation, and connections are among the server's figures."""
    before = server.metric('fastness_gateway_answers_total{status="404"}')
    caller.refused("GET", "/keys/measured")
    assert server.metric('fastness_gateway_answers_total{status="404"}') == before + 1
    assert server.metric('fastness_gateway_request_seconds_count{operation="getKey"}') > 0
    assert server.metric("fastness_gateway_connections") >= 1
    assert server.metric("fastness_gateway_clients") == 1
