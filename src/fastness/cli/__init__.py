"""The `fastness` command."""
