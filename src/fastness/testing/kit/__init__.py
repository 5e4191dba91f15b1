"""What the pytest plugin is made of, for those who test with something else.

============  ====================================================================================
faults        `Faults`: what the next commits and reads meet
faulty        `faulty(database, faults)`: a database of any engine that meets them
homes         an empty database per test: memory, a directory, a key space at a server
serving       `ServerProcess`: a real server on what is free
============  ====================================================================================

`fastness.pytest_plugin` makes fixtures of it; docs/TESTING.md shows how to use them.
"""

from fastness.testing.kit.faults import Fault, FaultKind, Faults
from fastness.testing.kit.faulty import faulty
from fastness.testing.kit.homes import Home, Wish, empty, home_at, url_of
from fastness.testing.kit.serving import ServerProcess

__all__ = [
    "Fault",
    "FaultKind",
    "Faults",
    "Home",
    "ServerProcess",
    "Wish",
    "empty",
    "faulty",
    "home_at",
    "url_of",
]
