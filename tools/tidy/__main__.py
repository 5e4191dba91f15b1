"""`python -m tools.tidy`: print every finding of this checkout; exit 1 if there is one."""

from __future__ import annotations

import sys

from tools.tidy.repository import findings


def main() -> int:
    """Print the findings and return the exit code."""
    found = findings()
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
