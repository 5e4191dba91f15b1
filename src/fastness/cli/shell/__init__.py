"""`fastness shell`: statements on keys and records, typed in or piped in.

`words` cuts a line, `statements` says what each statement does, `records` turns texts into
keys and records of any application's kinds and back, `completion` proposes how a line may go
on, `session` runs statements on an open database, `command` is the loop around it.
"""

from fastness.cli.shell.command import shell

__all__ = ["shell"]
