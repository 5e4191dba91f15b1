"""The demo: a real directory tree in the files service, proved right before your eyes.

    python -m examples.files.demo --path /usr --directory ./demo-data

`main` loads a directory tree of this machine; verifies every entry against a fresh walk; lets
64 workers contend; checks the invariants; serves it to client processes with near caches and
kills the server amid them; kills a loading process several times; asks for every acknowledged
commit; and prints what it found. See `stages`.
"""

from examples.files.demo.run import main

__all__ = ["main"]
