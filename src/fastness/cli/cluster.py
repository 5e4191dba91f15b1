"""The commands of `fastness cluster`: many nodes over etcd and PostgreSQL."""

from __future__ import annotations

import typer

from fastness.cli import cluster_founding, cluster_laptop

app = typer.Typer(no_args_is_help=True, help="A cluster: many nodes over etcd and PostgreSQL.")

FOUND = "Make it"
LAPTOP = "On this machine"

app.command(rich_help_panel=FOUND)(cluster_founding.init)
app.command("add-store", rich_help_panel=FOUND)(cluster_founding.add)
app.command(rich_help_panel=LAPTOP)(cluster_laptop.up)
app.command(rich_help_panel=LAPTOP)(cluster_laptop.down)
