"""Plant the bugs and hunt them: see `hunting.py`."""

from fastness.testing.simulation.bugs.hunting import main

if __name__ == "__main__":
    raise SystemExit(main())
