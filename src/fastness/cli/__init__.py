"""The `fastness` command.

`main` is what the console script calls. Modules: `app` (the commands), `keys`, `inspection`,
`copies`, `bench` and `shell` (what they do), `notation` (keys and values as text), `output`
and `exits` (how answers and errors are told), `opening`, `progress`, `figures`, `arguments`.
"""

from fastness.cli.app import app
from fastness.cli.main import main

__all__ = ["app", "main"]
