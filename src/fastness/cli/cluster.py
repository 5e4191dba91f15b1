"""The commands of `fastness cluster`: many nodes over etcd and PostgreSQL."""

from __future__ import annotations

import typer

from fastness.cli import (
    cluster_changing,
    cluster_doctor,
    cluster_founding,
    cluster_laptop,
    cluster_looking,
)

app = typer.Typer(no_args_is_help=True, help="A cluster: many nodes over etcd and PostgreSQL.")

FOUND = "Make it"
LOOK = "Look at it"
CHANGE = "Change it"
LAPTOP = "On this machine"

app.command(rich_help_panel=FOUND)(cluster_founding.init)
app.command("add-store", rich_help_panel=FOUND)(cluster_founding.add)
app.command("remove-store", rich_help_panel=FOUND)(cluster_founding.remove)
app.command(rich_help_panel=LOOK)(cluster_looking.status)
app.command(rich_help_panel=LOOK)(cluster_looking.nodes)
app.command(rich_help_panel=LOOK)(cluster_looking.ranges)
app.command(rich_help_panel=LOOK)(cluster_looking.stores)
app.command(rich_help_panel=LOOK)(cluster_doctor.doctor)
app.command(rich_help_panel=CHANGE)(cluster_changing.split)
app.command(rich_help_panel=CHANGE)(cluster_changing.merge)
app.command("transfer-lease", rich_help_panel=CHANGE)(cluster_changing.transfer_lease)
app.command(rich_help_panel=CHANGE)(cluster_changing.move)
app.command(rich_help_panel=CHANGE)(cluster_changing.drain)
app.command(rich_help_panel=LAPTOP)(cluster_laptop.up)
app.command(rich_help_panel=LAPTOP)(cluster_laptop.down)
