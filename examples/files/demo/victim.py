"""A process that loads a tree until it is killed, and says what was acknowledged to it.

    python -m examples.files.demo.victim URL TREE SPACE FOLDER

It announces and acknowledges on its standard output as `promises` says. When the tree is
loaded it waits for its standard input to close: it does not outlive who started it.
"""

from __future__ import annotations

import os
import sys

import fastness
from examples.files import service
from examples.files.demo.loading import batches
from examples.files.demo.promises import ACKNOWLEDGED, ANNOUNCED, LOADED, write_frame
from examples.files.demo.walking import Walk
from examples.files.schema import SCHEMA, EntryId, SpaceId

BATCH_ENTRIES = 50
ENTRIES_MAX = 50_000


def load_until_killed(url: str, tree: str, space: SpaceId, folder: EntryId) -> None:
    """Load the tree, announcing and acknowledging every transaction on standard output."""
    out = sys.stdout.fileno()
    with fastness.open(url, schema=SCHEMA) as db:
        walk = Walk(os.fsencode(tree), ENTRIES_MAX)
        for drafts in batches(walk.folders(folder), BATCH_ENTRIES):
            write_frame(out, ANNOUNCED, [draft.id for draft in drafts])
            entries = service.create_many(db, space, drafts)
            write_frame(out, ACKNOWLEDGED, entries)
        write_frame(out, LOADED, None)
        sys.stdin.buffer.read()


if __name__ == "__main__":
    load_until_killed(
        sys.argv[1], sys.argv[2], SpaceId(int(sys.argv[3])), EntryId(int(sys.argv[4]))
    )
