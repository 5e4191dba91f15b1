"""The demo: a real directory tree in the files service, proved right before your eyes.

    python -m examples.files.demo --path /usr --directory ./demo-data

`main` loads a directory tree of this machine; verifies every entry against a fresh walk; lets
64 workers contend; checks the invariants; kills a loading process several times and
asks for every acknowledged commit; and prints what it found. See `stages`.
"""

from examples.files.demo.run import main

__all__ = ["main"]
