"""Reads of more than one answer holds: every client gets all of it, portion after portion."""

from __future__ import annotations

from dataclasses import replace

from fastness.client.cluster import ClusterClient
from fastness.limits import KIB, Limits
from fastness.ranges.requests import Read, ReadAnswer, Scan
from tests.node.servers import Premises, serving

LIMITS = replace(Limits(), answer_bytes=10 * KIB, scan_entries=7)
KEYS = [b"key %03d" % number for number in range(60)]


def value_of(key: bytes) -> bytes:
    """Some are small, some fill half an answer, one is larger than any answer should be."""
    if key == KEYS[30]:
        return key * 4_000
    return key * (700 if key.endswith(b"5") else 3)


async def filled(premises: Premises) -> ClusterClient:
    """A client of a server that has all keys."""
    await premises.start()
    client = premises.client()
    for begin in range(0, len(KEYS), 20):
        async with client.transaction() as tx:
            for key in KEYS[begin : begin + 20]:
                tx.set(key, value_of(key))
    return client


def test_answers_are_bounded() -> None:
    """The node answers the first of what was asked for, one at least, and says so."""

    async def scenario(premises: Premises) -> None:
        client = await filled(premises)
        await client.get(KEYS[0])
        descriptor = client.core.routes.serving(KEYS[0])
        assert descriptor is not None

        async def read(keys: list[bytes], scan: Scan | None) -> ReadAnswer:
            body = Read(descriptor.range_id, descriptor.generation, keys, scan)
            answer = await client.core.calls.ask(descriptor.holder, body)
            assert isinstance(answer, ReadAnswer)
            return answer

        answer = await read(KEYS, None)
        assert 0 < len(answer.cells) < len(KEYS)
        assert sum(len(cell or b"") for cell in answer.cells) <= LIMITS.answer_bytes
        assert len((await read(KEYS[30:], None)).cells) == 1
        for reverse in (False, True):
            answer = await read([], Scan(b"key", b"key 9", 50, reverse))
            assert (len(answer.entries), answer.complete) == (7, False)
        answer = await read([], Scan(KEYS[30], b"key 9", 50))
        assert ([key for key, _cell in answer.entries], answer.complete) == ([KEYS[30]], False)
        answer = await read([], Scan(KEYS[0], KEYS[3], 50))
        assert (len(answer.entries), answer.complete) == (3, True)

    serving(scenario, limits=LIMITS)


def test_clients_get_all_of_it() -> None:
    """Gets of many tasks, pages in both orders, and both again from the near cache."""

    async def scenario(premises: Premises) -> None:
        expected = [(key, value_of(key)) for key in KEYS]
        for cache in (False, True):
            client = premises.client() if premises.server else await filled(premises)
            for _again in range(3):
                assert await client.get_many(KEYS, cache=cache) == [value for _, value in expected]
                tasks = [
                    client.core.calls.process.spawn(client.get(key, cache=cache), name="get")
                    for key in KEYS
                ]
                assert [await task for task in tasks] == [value for _, value in expected]
                page = await client.scan(b"key", b"key 9", cache=cache)
                assert page.entries == expected
                page = await client.scan(b"key", b"key 9", limit=40, reverse=True, cache=cache)
                assert page.entries == expected[:19:-1]
                assert page.continuation is not None

    serving(scenario, limits=LIMITS)
