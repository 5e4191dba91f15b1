"""The guide to typed records runs as it is printed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import fastness

GUIDE = Path(fastness.__file__).parents[2] / "docs" / "MODEL.md"


@pytest.fixture
def page() -> Iterator[ModuleType]:
    """A module to run the blocks in, where annotations find their names."""
    module = ModuleType("guide_to_typed_records")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]
    for name in ("db", "later"):
        database = vars(module).get(name)
        if isinstance(database, fastness.Database):
            database.close()


def test_every_block_of_the_guide_runs(page: ModuleType) -> None:
    """In order, in one session, as a reader would type them."""
    text = GUIDE.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"```python\n(.*?)```", text, re.DOTALL))
    assert len(blocks) >= 8
    for block in blocks:
        # Blank lines before it, so that a failure names the line of the page.
        source = "\n" * text[: block.start(1)].count("\n") + block[1]
        exec(compile(source, str(GUIDE), "exec"), vars(page))  # noqa: S102 - our own page
