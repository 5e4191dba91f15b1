"""`python -m fastness.cli`: the command, where no script is installed."""

from fastness.cli.entry import main

if __name__ == "__main__":
    main()
