"""The `fastness` command: which commands there are, and what its help says first."""

from __future__ import annotations

import typer

from fastness.cli import (
    bench,
    cluster,
    configuration,
    copies,
    demo,
    inspection,
    keys,
    serve,
    simulate,
    stat,
    tokens,
)
from fastness.cli.shell import shell

MANUAL = """\
A strictly serializable, durable, typed metadata database.

DATABASE is a directory ('./data' or 'file:./data'), 'memory:', or a server
('fastness://HOST:PORT'; FASTNESS_TOKEN is its token). Keys and values are text; or
"quoted text" with escapes, ("a tuple", 42) as fastness.pack packs it, hex:00ff, base64:AP8=,
counter:42. What is printed can be given back.

Exit codes: 0 done; 1 absent, or found wrong; 2 wrong usage; 3 not now (held, full, timed out);
4 damaged or foreign; 5 refused by the records; 6 outcome unknown; 130 interrupted.
"""

app = typer.Typer(
    name="fastness",
    help=MANUAL,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

READ_AND_WRITE = "Read and write"
LOOK_AFTER = "Look after"
COPY = "Copy"
SERVE = "Serve"
TRY = "Try"

app.command(rich_help_panel=READ_AND_WRITE)(keys.get)
app.command(rich_help_panel=READ_AND_WRITE)(keys.set)
app.command(rich_help_panel=READ_AND_WRITE)(keys.delete)
app.command(rich_help_panel=READ_AND_WRITE)(keys.scan)
app.command(rich_help_panel=READ_AND_WRITE)(shell)
app.command(rich_help_panel=LOOK_AFTER)(stat.stat)
app.command("check", rich_help_panel=LOOK_AFTER)(inspection.check_database)
app.command(rich_help_panel=LOOK_AFTER)(inspection.version)
app.command(rich_help_panel=COPY)(copies.backup)
app.command("restore", rich_help_panel=COPY)(copies.restore_backup)
app.command(rich_help_panel=COPY)(copies.export)
app.command("import", rich_help_panel=COPY)(copies.import_)
app.command(rich_help_panel=SERVE)(serve.serve)
app.add_typer(tokens.app, name="token", rich_help_panel=SERVE)
app.add_typer(cluster.app, name="cluster", rich_help_panel=SERVE)
app.add_typer(configuration.app, name="config", rich_help_panel=SERVE)
app.command(rich_help_panel=TRY)(demo.demo)
app.command(rich_help_panel=TRY)(bench.bench)
app.command(rich_help_panel=TRY)(simulate.simulate)
