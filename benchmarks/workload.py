"""Keys and values as a metadata service has them: small, structured, read at random."""

from __future__ import annotations

from random import Random

from fastness.encoding import tuples

SEED = 20_240_131
VALUE_BYTES = 100

Entry = tuple[bytes, bytes]


def key(number: int) -> bytes:
    """The key of an inode-like record: a table, an owner, a number (18 to 21 bytes)."""
    return tuples.pack(("inode", "space-7", number))


def entries(count: int) -> list[Entry]:
    """`count` entries in key order, with values that do not compress away."""
    random = Random(SEED)
    return [(key(number), random.randbytes(VALUE_BYTES)) for number in range(count)]


def sample(count: int, of: int, *, seed: int = SEED) -> list[bytes]:
    """`count` keys drawn at random, with repetition, from the first `of`."""
    random = Random(seed)
    return [key(random.randrange(of)) for _ in range(count)]
