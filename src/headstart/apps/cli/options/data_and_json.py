"""Options that many commands take, and that need nothing but typer: a command with no others starts without a plan."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

DATA_HELP = (
    "Folder of class folders, of train/val/test folders of class folders, a .tar of either, shards such as "
    "x-{00..09}.tar, a table, an .npz, hf:USER/NAME, torchvision:NAME, a store such as s3://..., or `digits`."
)

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
OptionalData = Annotated[str | None, typer.Argument(metavar="DATA", help=DATA_HELP)]
FolderLinks = Annotated[
    Literal["inside", "follow"],
    typer.Option("--links", help="Whether links in folders are followed: inside them only, or wherever they lead."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout; progress stays on stderr.")]
