"""Databases behind a real server: opening, sharing, forks, loops, restarts, key spaces."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fastness
from fastness import AsyncDatabase, AtLeast, Database, Transaction, Within, transactional
from fastness.client.cluster import ClusterClient, Verdict
from fastness.encoding import counters
from fastness.encoding.intervals import prefix_end
from fastness.errors import (
    Conflict,
    DatabaseClosed,
    FastnessError,
    InvalidOption,
    InvalidTimestamp,
    LimitExceeded,
    Unauthenticated,
    Unreachable,
    UsageError,
)
from fastness.limits import Limits
from fastness.model import Count, Entity, Index
from fastness.ranges.commit import STAMP_BYTES
from fastness.runtime import SystemClock
from fastness.storage import RocksStore
from fastness.transport import Grant, Peer, Role
from tests.client.servers import RunningServer
from tests.hosting.workers import PATIENCE_SECONDS, Worker
from tests.transactions.databases import beside
from tests.transport.scenes import CERTIFICATES

LOOKS_MAX = 10_000

TENANTS = {
    "ann": Grant(Role.READ_WRITE, b"t/ann/", "ann"),
    "bob": Grant(Role.READ_WRITE, b"t/bob/", "bob"),
    "eve": Grant(Role.READ_ONLY, b"t/ann/", "eve"),
    "all": Grant(Role.ADMIN, b"", "all"),
}


def by_token(credential: str, _peer: Peer) -> Grant:
    """The grant of a token."""
    if credential not in TENANTS:
        raise Unauthenticated("no such token: make one with `fastness token create`")
    return TENANTS[credential]


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """A server that lets everybody in."""
    with RunningServer() as running:
        yield running


@pytest.fixture
def guarded() -> Iterator[RunningServer]:
    """A server that asks for a token."""
    with RunningServer(authenticate=by_token) as running:
        yield running


# -------------------------------------------------------------------- opening


def test_a_wrong_token_is_told_at_once(guarded: RunningServer) -> None:
    """By both ways to open, and the token is not in the message."""
    url = f"{guarded.url}?token=mallory"
    with pytest.raises(Unauthenticated, match="no such token") as refused:
        fastness.open(url)
    assert "mallory" not in str(refused.value)
    with pytest.raises(Unauthenticated, match="no such token"):
        asyncio.run(fastness.open_async(url))


def test_a_token_revoked_meanwhile_is_told() -> None:
    """Not by silence until patience ends: by the first call that needs a connection again."""
    revoked: list[str] = []

    def judge(credential: str, _peer: Peer) -> Grant:
        if credential in revoked:
            raise Unauthenticated("this token was revoked")
        return Grant(Role.READ_WRITE)

    async def hang_up(server: RunningServer) -> int:
        return server.process.review(lambda _grant, _peer: Unauthenticated("revoked"))

    with (
        RunningServer(authenticate=judge) as server,
        fastness.open(f"{server.url}?token=ann") as db,
    ):
        db.set(b"a", b"1")
        revoked.append("ann")
        assert server.do(hang_up(server)) == 1
        with pytest.raises(Unauthenticated, match="revoked"):
            db.get(b"a")
        with pytest.raises(Unauthenticated, match="revoked"):
            db.now()
        revoked.clear()
        assert db.get(b"a") == b"1"


def test_nobody_there_is_told_at_once(tmp_path: Path) -> None:
    """With the place and the reason of the system, for sockets and for ports."""
    for url in (f"fastness+unix://{tmp_path}/nobody", "fastness://127.0.0.1:1"):
        with pytest.raises(Unreachable, match=r"cannot connect|cannot be reached|refused|No such"):
            fastness.open(url)
        with pytest.raises(Unreachable):
            asyncio.run(fastness.open_async(url))


def test_another_place_may_answer(server: RunningServer) -> None:
    """Several places are several doors: the first that answers is taken."""
    listener = server.also_at("127.0.0.1:0")
    with fastness.open(f"fastness://127.0.0.1:1,{listener}/?cache=on") as db:
        db.set(b"a", b"1")
        assert db.get(b"a") == b"1"
        assert db.stat().url == f"fastness://127.0.0.1:1,{listener}/?cache=on"


def test_tls_is_an_option_of_the_url(server: RunningServer) -> None:
    """With the authority to trust, also with a certificate to show; mistakes are told apart."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    secured, plain = server.also_at("127.0.0.1:0", context), server.also_at("127.0.0.1:0")
    trusting = f"ca={CERTIFICATES}/authority.pem"
    shown = f"cert={CERTIFICATES}/client.pem&key={CERTIFICATES}/client.key"
    for options in (trusting, f"{trusting}&{shown}"):
        with fastness.open(f"fastness://{secured}/?{options}") as db:
            db.set(b"a", b"1")
            assert db.get(b"a") == b"1"
    for url, said in (
        (f"fastness://{secured}/?ca={CERTIFICATES}/stranger.pem", "not trusted"),
        (f"fastness://{secured}/?tls=on", "not trusted"),
        (f"fastness://{secured}/", "TLS|closed"),
        (f"fastness://{plain}/?{trusting}", "TLS"),
        (f"fastness://{secured}/?ca={CERTIFICATES}/none.pem", "cannot be read"),
    ):
        with pytest.raises(FastnessError, match=said):
            fastness.open(url)


def test_what_it_shows_of_itself(guarded: RunningServer) -> None:
    """Its URL without the token; that there is no engine in this process; its figures."""
    with fastness.open(f"{guarded.url}?token=all") as db:
        assert repr(db) == f"<Database {guarded.url}?token=...>"
        with pytest.raises(UsageError, match="served by another process"):
            str(db.embedded)
        db.set(b"a", b"1")
        stat = db.stat()
        assert (stat.commits, stat.conflicts, stat.watches) == (1, 0, 0)
    with pytest.raises(DatabaseClosed, match="closed"):
        db.get(b"a")
    db.close()


def test_reading_only(guarded: RunningServer) -> None:
    """Asked for, or all that a token grants: writes are refused before they are sent."""
    with fastness.open(f"{guarded.url}?token=ann") as db:
        db.set(b"a", b"1")
    for url, read_only in ((f"{guarded.url}?token=ann", True), (f"{guarded.url}?token=eve", False)):
        with fastness.open(url, read_only=read_only) as db:
            assert db.get(b"a") == b"1"
            with pytest.raises(UsageError, match="read-only"):
                db.set(b"a", b"2")


# ------------------------------------------------------------------ key spaces


class Person(Entity, key="id"):
    """Somebody."""

    id: int
    email: str
    by_email = Index("email", unique=True)
    people = Count()


def test_tenants_share_a_server_and_nothing_else(guarded: RunningServer) -> None:
    """Keys, pages, counters, stamps, records, watches and conflicts are each one's own."""
    with (
        fastness.open(f"{guarded.url}?token=ann&cache=on", schema=[Person]) as ann,
        fastness.open(f"{guarded.url}?token=bob", schema=[Person]) as bob,
        fastness.open(f"{guarded.url}?token=all") as everything,
    ):
        watch = bob.watch(b"k")
        for number, db in enumerate((ann, bob), 1):
            db.set(b"k", b"%d" % number)
            db.add(b"n", number)
            with db.transaction() as tx:
                tx.set_versionstamped_key(b"log/", b"entry")
                tx.insert(Person(id=7, email=f"{number}@example.org"))
        assert watch.wait(PATIENCE_SECONDS)
        for number, db in enumerate((ann, bob), 1):
            assert db.get_many([b"k", b"n"]) == [b"%d" % number, counters.encode(number)]
            assert [key[:4] for key, _ in db.scan_all(b"", b"\xff")] == [b"k", b"log/", b"n"]
            assert [key[:4] for key, _ in db.scan_all(b"", b"\xff", reverse=True)] == [
                b"n",
                b"log/",
                b"k",
            ]
            with db.transaction(read_only=True) as tx:
                assert tx.require(Person, 7).email == f"{number}@example.org"
                assert tx.total(Person.people) == 1
        begin = TENANTS["ann"].prefix
        keys = [key for key, _ in everything.scan_all(begin, prefix_end(begin))]
        assert begin + b"k" in keys
        assert len(keys) > 4, "system keys of the tenant lie in its space too"
        ann.delete_range(b"", b"\xff")
        assert list(ann.scan_all(b"", b"\xff")) == []
        assert bob.get(b"k") == b"2"


def test_the_longest_key_is_as_long_for_a_tenant(guarded: RunningServer) -> None:
    """`key_bytes` is what the user sees of a key; a byte more is refused before it is sent."""
    limits = Limits()
    key = b"k" * limits.key_bytes
    for url in (f"{guarded.url}?token=ann", f"{guarded.url}?token=ann&cache=on"):
        with fastness.open(url) as db:
            db.set(key, b"1")
            assert db.get(key) == b"1"
            assert list(db.scan_all(b"k", b"l")) == [(key, b"1")]
            with db.transaction() as tx:
                tx.set_versionstamped_key(b"s" * (limits.key_bytes - STAMP_BYTES), b"2")
            assert len(next(db.scan_all(b"s", b"t"))[0]) == limits.key_bytes
            db.delete(key)
            assert db.get(key) is None
            with pytest.raises(LimitExceeded):
                db.set(key + b"k", b"1")


def test_a_conflict_names_the_key_as_its_tenant_knows_it(guarded: RunningServer) -> None:
    """Also to the retry loop, which looks for the schema's."""
    with fastness.open(f"{guarded.url}?token=ann") as db:
        tx = db.transaction()
        assert tx.get(b"k") is None
        tx.set(b"other", b"1")
        db.set(b"k", b"1")
        with pytest.raises(Conflict) as lost:
            tx.commit()
        assert lost.value.key == b"k"


# --------------------------------------------------------- threads, loops, forks


def test_threads_share_one_client(server: RunningServer) -> None:
    """Transactions, plain reads and cached ones from many threads: nothing is lost or stale."""
    threads, count = 8, 25
    with fastness.open(server.url) as db:

        @transactional
        def deposit(tx: Transaction) -> None:
            tx.set(b"sum", b"%d" % (int(tx.get(b"sum") or b"0") + 1))

        def work(number: int) -> None:
            mine = b"own/%d" % number
            for turn in range(count):
                deposit(db)
                db.set(mine, b"%d" % turn)
                assert db.get(mine) == b"%d" % turn
                assert db.get(mine, cache=True) == b"%d" % turn
                assert int(db.get(b"sum", cache=True) or b"0") > turn

        for worker in [Worker(partial(work, number)) for number in range(threads)]:
            worker.result()
        assert db.get(b"sum") == b"%d" % (threads * count)


def test_an_async_database_belongs_to_one_loop(server: RunningServer) -> None:
    """Tasks of another loop, and threads, are told so; the first goes on."""
    calls: list[Callable[[AsyncDatabase], object]] = [
        lambda db: db.get(b"a"),
        lambda db: db.get_many([b"a"]),
        lambda db: db.scan(b"a", b"b"),
        lambda db: db.set(b"a", b"2"),
        lambda db: db.now(),
        lambda db: db.watch(b"a"),
        lambda db: db.close(),
    ]

    async def elsewhere(db: AsyncDatabase) -> int:
        refused = 0
        for call in calls:
            try:
                await call(db)  # type: ignore[misc]  # each is awaitable
            except UsageError as error:
                refused += "another event loop" in str(error)
        return refused

    async def everything() -> None:
        async with await fastness.open_async(f"{server.url}?cache=on") as db:
            await db.set(b"a", b"1")
            assert await db.get(b"a") == b"1"
            assert await asyncio.to_thread(lambda: asyncio.run(elsewhere(db))) == len(calls)
            assert await db.get(b"a") == b"1"
            assert await db.set(b"a", b"3")

    asyncio.run(everything())


def test_a_blocking_database_may_be_used_inside_a_loop(server: RunningServer) -> None:
    """It blocks the loop, as the embedded one would, and nothing else."""

    async def everything(db: Database) -> bytes | None:
        db.set(b"a", b"1")
        return db.get(b"a")

    with fastness.open(server.url) as db:
        assert asyncio.run(everything(db)) == b"1"


def test_ctrl_c_ends_a_call_and_not_the_client(server: RunningServer) -> None:
    """A commit it interrupts goes on; its id tells what became of it; all else works as before."""
    stopped, goes_on = threading.Event(), threading.Event()

    async def stop() -> None:
        stopped.set()
        goes_on.wait(PATIENCE_SECONDS)

    def strike() -> None:
        stopped.wait(PATIENCE_SECONDS)
        # The main thread is at its socket: there is nothing to read before the server goes on.
        while not tx.id:
            goes_on.wait(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    with fastness.open(server.url) as db:
        db.set(b"warm", b"1")
        tx = db.transaction()
        tx.set(b"a", b"1")
        holding = Worker(lambda: server.do(stop()))
        assert stopped.wait(PATIENCE_SECONDS)
        striking = Worker(strike)
        with pytest.raises(KeyboardInterrupt):
            tx.commit()
        goes_on.set()
        holding.result()
        striking.result()
        committed = db.outcome(tx.id)
        assert committed is not None
        assert db.get(b"a") == b"1"
        assert db.set(b"a", b"2") > committed


def answer_of(function: Callable[[], object]) -> int:
    """How a forked child fares: 0 where it is refused as closed."""
    child = os.fork()
    if not child:
        try:
            function()
        except DatabaseClosed:
            os._exit(0)
        except BaseException:  # noqa: BLE001 - told by the status
            os._exit(2)
        os._exit(1)
    _pid, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_opens_its_own(server: RunningServer) -> None:
    """What it inherited refuses everything, cached or not; the parent goes on undisturbed."""
    with fastness.open(f"{server.url}?cache=on") as db:
        db.set(b"a", b"1")
        assert db.get(b"a") == b"1"
        watch = db.watch(b"a")
        refused: list[Callable[[], object]] = [
            lambda: db.get(b"a"),
            lambda: db.get(b"b", cache=False),
            lambda: db.set(b"a", b"2"),
            lambda: db.transaction().get(b"a"),
            lambda: db.watch(b"a"),
        ]
        assert [answer_of(call) for call in refused] == [0] * len(refused)

        def own_one() -> None:
            with fastness.open(server.url) as mine:
                mine.set(b"child", mine.get(b"a") or b"")
            db.close()
            raise DatabaseClosed("as planned")

        assert answer_of(own_one) == 0
        assert db.get(b"child", cache=False) == b"1"
        db.set(b"a", b"3")
        assert watch.wait(PATIENCE_SECONDS)


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_no_tasks_of_its_parent(server: RunningServer) -> None:
    """An asynchronous database is refused there too, before anything waits."""

    async def everything() -> None:
        async with await fastness.open_async(f"{server.url}?cache=on") as db:
            await db.set(b"a", b"1")
            assert await db.get(b"a") == b"1"
            calls: list[Callable[[], Coroutine[Any, Any, object]]] = [
                lambda: db.get(b"a"),
                lambda: db.watch(b"a"),
                lambda: db.set(b"a", b"2"),
            ]
            assert [answer_of(partial(step, call)) for call in calls] == [0, 0, 0]
            assert await db.get(b"a", cache=False) == b"1"

    def step(call: Callable[[], Coroutine[Any, Any, object]]) -> None:
        call().send(None)

    asyncio.run(everything())


# --------------------------------------------------------------- cache, watches


def test_an_idle_client_holds_nobody_up(server_of_long_leases: RunningServer) -> None:
    """It answers notices although no thread of it waits: a writer never waits for its lease."""
    url = server_of_long_leases.url
    with fastness.open(f"{url}?cache=on") as idle, fastness.open(url) as busy:
        for number in range(5):
            busy.set(b"a", b"%d" % number)
            assert idle.get(b"a") == b"%d" % number
        # The first lease of a server is recorded before any is granted.
        assert idle.stat().cache.invalidations >= 2


@pytest.fixture
def server_of_long_leases() -> Iterator[RunningServer]:
    """A server whose cache leases outlast a commit's patience, and the range's lease them."""
    limits = replace(Limits(), cache_lease_ms=60_000, lease_ms=120_000, commit_ms=2_000)
    with RunningServer(limits=limits) as running:
        yield running


def test_figures_of_the_cache(server: RunningServer) -> None:
    """Hits, misses, invalidations and lost leases, of threads and of tasks alike."""

    async def alike(db: Database) -> None:
        async with beside(db) as other:
            await other.get(b"a", cache=True)
            await other.get(b"a", cache=True)
            counts = (await other.stat()).cache
            assert (counts.hits, counts.misses, counts.fills) == (1, 1, 1)

    with fastness.open(server.url) as early:
        # The first lease of a server is recorded before any is granted.
        for _ in range(LOOKS_MAX):
            if early.stat().cache.fills:
                break
            early.get(b"a", cache=True)
        assert early.stat().cache.fills == 1
    with fastness.open(server.url) as db:
        assert db.get(b"a", cache=True) is None
        assert db.get(b"a", cache=True) is None
        db.get(b"b")
        asyncio.run(alike(db))
        counts = db.stat().cache
        assert (counts.hits, counts.misses, counts.fills) == (1, 1, 1)
        assert counts.invalidations == counts.evictions == counts.lease_losses == 0


def test_records_and_queries_are_cached_too(server_of_long_leases: RunningServer) -> None:
    """By key, by index, in pages and as counts: what is asked again sends nothing."""
    with fastness.open(f"{server_of_long_leases.url}?cache=on", schema=[Person]) as db:
        with db.transaction() as tx:
            for number in range(20):
                tx.insert(Person(id=number, email=f"{number}@example.org"))

        def look(tx: Transaction) -> tuple[object, ...]:
            return (
                tx.fetch(Person, 3),
                tx.fetch_by(Person.by_email, "7@example.org"),
                tx.query(Person.by_email, limit=5).items,
                tx.total(Person.people),
                tx.every(Person).items,
            )

        first = db.run(look)
        assert first == db.run(look)
        again: list[object] = []
        assert frames(server_of_long_leases, lambda: again.append(db.run(look))) == 0
        assert again == [first]
        with fastness.open(server_of_long_leases.url, schema=[Person]) as other:
            other.run(lambda tx: tx.patch(Person, 3, email="new@example.org"))
        assert db.run(look) != first


def test_audits_of_a_real_network_find_nothing_stale(server: RunningServer) -> None:
    """While threads write, every hit of a cache is the truth: the consistency ratio is 1."""
    keys = [b"key %d" % number for number in range(5)]

    async def audit(stop: threading.Event) -> Counter[Verdict]:
        client = await fastness.open_async(f"{server.url}?cache=on")
        assert isinstance(client, ClusterClient)
        verdicts: Counter[Verdict] = Counter()
        async with client:
            for turn in range(LOOKS_MAX):
                if verdicts[Verdict.TRUE] >= 200:
                    break
                key = keys[turn % len(keys)]
                await client.get(key)
                verdicts[(await client.audit(key)).verdict] += 1
        stop.set()
        return verdicts

    with fastness.open(server.url) as db, fastness.open(f"{server.url}?cache=on") as other:
        stop = threading.Event()

        def write(face: Database) -> int:
            turn = 0
            while not stop.wait(0.001):
                turn += 1
                face.set(keys[turn % len(keys)], b"%d" % turn)
            return turn

        writers = [Worker(partial(write, face)) for face in (db, other)]
        verdicts = asyncio.run(audit(stop))
        assert all(writer.result() for writer in writers)
        assert verdicts[Verdict.STALE] == 0
        assert verdicts[Verdict.TRUE] >= 200


def test_watches_of_threads(server: RunningServer) -> None:
    """Waited for, looked at and cancelled from any thread, without anybody reading meanwhile."""
    with fastness.open(server.url) as db, fastness.open(server.url) as other:
        watch, cancelled = db.watch(b"a"), db.watch(b"b")
        assert not watch.wait(0.001)
        waiting = Worker(partial(watch.wait, PATIENCE_SECONDS))
        other.set(b"a", b"1")
        assert waiting.result()
        assert watch.fired
        thread = threading.Thread(target=cancelled.cancel)
        thread.start()
        thread.join()
        other.set(b"b", b"1")
        assert not cancelled.wait(0.05)
        assert db.watch(b"a", seen=db.now()).fired is False
        assert db.watch(b"a", seen=1).fired
        left = db.watch(b"c")
    with pytest.raises(DatabaseClosed):
        left.wait(PATIENCE_SECONDS)


# ------------------------------------------------------------------- freshness


def frames(server: RunningServer, call: Callable[[], object]) -> int:
    """How many frames a server takes during a call."""
    before = server.process.counts.frames_in
    call()
    return server.process.counts.frames_in - before


def test_a_weaker_freshness_asks_less(server: RunningServer) -> None:
    """A timestamp that is known and fresh enough need not be drawn."""
    with fastness.open(server.url) as db:
        token = db.set(b"a", b"1")

        def read(**options: object) -> bytes | None:
            tx = db.transaction(read_only=True, **options)  # type: ignore[arg-type]  # handed on
            return tx.get(b"a")

        assert frames(server, read) == 2
        assert frames(server, lambda: read(freshness=AtLeast(token))) == 1
        assert frames(server, lambda: read(freshness=Within(60_000))) == 1
        assert frames(server, lambda: read(freshness=Within(1e-6))) == 2
        assert db.get(b"a", freshness=AtLeast(token)) == b"1"
        assert db.get_many([b"a"], freshness=Within(1_000)) == [b"1"]
        assert db.scan(b"a", b"b", freshness=AtLeast(token)).entries == [(b"a", b"1")]
        assert list(db.scan_all(b"a", b"b", freshness=AtLeast(token))) == [(b"a", b"1")]


def test_what_was_written_elsewhere_is_seen_with_its_token(server: RunningServer) -> None:
    """Whoever is handed a token reads at least that, however old what it knew was."""
    with fastness.open(server.url) as db, fastness.open(server.url) as other:
        for number in range(5):
            token = other.set(b"a", b"%d" % number)
            tx = db.transaction(read_only=True, freshness=AtLeast(token))
            assert tx.get(b"a") == b"%d" % number
            assert db.get(b"a", freshness=AtLeast(token), cache=True) == b"%d" % number


def test_a_freshness_that_cannot_be_met_raises(database: Database) -> None:
    """A timestamp never issued, and what is no freshness; nothing older is shown instead."""
    never = database.now() + (1 << 50)
    with pytest.raises(InvalidTimestamp, match="never issued"):
        database.get(b"a", freshness=AtLeast(never))
    with pytest.raises(InvalidTimestamp, match="never issued"):
        database.transaction(freshness=AtLeast(never)).get(b"a")
    with pytest.raises(InvalidOption, match="exclude each other"):
        database.transaction(at=1, freshness=Within(5))
    with pytest.raises(InvalidOption, match="freshness=5"):
        database.get(b"a", freshness=5)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(InvalidOption, match=r"Within\(-1\)"):
        Within(-1)
    with pytest.raises(InvalidTimestamp, match="AtLeast"):
        AtLeast(-1)


# --------------------------------------------------------------- restarts, building


def test_a_server_that_restarts_is_found_again(tmp_path: Path) -> None:
    """The same client goes on: reads, commits, watches and cached reads; nothing is lost."""
    directory = tmp_path / "db"
    limits = replace(Limits(), call_ms=100)
    # The path of a socket must be short, which `tmp_path` is not everywhere.
    folder = Path(tempfile.mkdtemp(prefix="fastness-"))
    path = folder / "s"
    first = RunningServer(RocksStore.open(directory), limits=limits, path=path).start()
    with fastness.open(first.url, limits=limits) as db:
        db.set(b"a", b"1")
        db.get(b"a", cache=True)
        watch = db.watch(b"a")
        first.close()
        with RunningServer(RocksStore.open(directory), limits=limits, path=path):
            assert db.get(b"a") == b"1"
            assert db.get(b"a", cache=True) == b"1"
            with fastness.open(first.url, limits=limits) as other:
                other.set(b"a", b"2")
            assert watch.wait(PATIENCE_SECONDS)
            assert db.run(lambda tx: tx.get(b"a")) == b"2"
    shutil.rmtree(folder)


def test_an_index_is_built_in_the_background(server: RunningServer) -> None:
    """By whoever registered it, threads or tasks, and everybody who waits is told."""

    class Before(Entity, key="id", kind="note"):
        id: int
        word: str

    class After(Entity, key="id", kind="note"):
        id: int
        word: str
        by_word = Index("word")
        notes = Count("word")

    with fastness.open(server.url, schema=[Before]) as db, db.transaction() as tx:
        for number in range(300):
            tx.insert(Before(id=number, word=f"word {number % 7}"))

    async def wait_too() -> bool:
        async with await fastness.open_async(server.url, schema=[After]) as other:
            return await other.wait_until_readable(After.notes, timeout=PATIENCE_SECONDS)

    with fastness.open(server.url, schema=[After]) as db:
        assert asyncio.run(wait_too())
        assert db.wait_until_readable(After.by_word, After.notes, timeout=PATIENCE_SECONDS)
        with db.transaction(read_only=True) as tx:
            assert tx.total(After.notes, "word 3") == 43
            assert len(tx.query(After.by_word, "word 3").items) == 43


def test_another_client_goes_on_building(server: RunningServer) -> None:
    """One that registered and died leaves nothing undone for ever."""

    class Before(Entity, key="id", kind="note"):
        id: int
        word: str

    class After(Entity, key="id", kind="note"):
        id: int
        word: str
        by_word = Index("word", unique=True)

    with fastness.open(server.url, schema=[Before]) as db, db.transaction() as tx:
        for number in range(500):
            tx.insert(Before(id=number, word=str(number)))
    for _ in range(5):
        # Each registers, and is gone before it can have done much.
        fastness.open(server.url, schema=[After]).close()
    with fastness.open(server.url, schema=[After]) as db:
        assert db.wait_until_readable(After.by_word, timeout=PATIENCE_SECONDS)
        assert db.run(lambda tx: tx.fetch_by(After.by_word, "77")) == After(id=77, word="77")


def test_an_index_that_cannot_be_built_is_told(server: RunningServer) -> None:
    """Whoever waits for it is told why; once the data allows it, it is built."""

    class Before(Entity, key="id", kind="note"):
        id: int
        word: str

    class After(Entity, key="id", kind="note"):
        id: int
        word: str
        by_word = Index("word", unique=True)

    with fastness.open(server.url, schema=[Before]) as db, db.transaction() as tx:
        tx.insert(Before(id=1, word="twice"))
        tx.insert(Before(id=2, word="twice"))
    with fastness.open(server.url, schema=[After]) as db:
        with pytest.raises(FastnessError, match="by_word cannot become unique"):
            db.wait_until_readable(After.by_word, timeout=PATIENCE_SECONDS)
        db.run(lambda tx: tx.remove(After, 2))
        assert db.build_indexes() == {}
        assert db.wait_until_readable(After.by_word, timeout=PATIENCE_SECONDS)


def test_a_clock_of_the_server_is_its_own() -> None:
    """Nothing of a client's clock decides what a server does."""
    with RunningServer(clock=SystemClock()) as server, fastness.open(server.url) as db:
        assert db.set(b"a", b"1") <= db.now()
