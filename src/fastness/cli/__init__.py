"""The `fastness` command.

`main`, of `entry`, is what the console script calls. Modules: `app` (the commands), `keys`,
`stat`, `inspection`, `copies`, `bench`, `demo` and `shell` (what they do), `notation` (keys and
values as text), `output` and `exits` (how answers and errors are told), `opening`, `progress`,
`figures` and `arguments`.
"""

from fastness.cli.app import app
from fastness.cli.entry import main

__all__ = ["app", "main"]
