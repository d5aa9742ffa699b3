"""The command `headstart models`: searching the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options.filters import SEARCH, query_of
from headstart.apps.cli.options.parsing import refuse_others
from headstart.apps.cli.text.printing import json_text, show_text


@SEARCH.add_to
def models(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show one card in full.")] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Time the networks on this machine; remembered for the next time.",
            rich_help_panel="Search",
        ),
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Rows to show.", rich_help_panel="Search")] = None,
    as_json: data_and_json.Json = False,
    **options: Any,  # noqa: ANN401 - see `SEARCH`
) -> None:
    """List, search or show pretrained networks."""
    from headstart.apps.cli.text.cards import SHOWN, card_text, cards_text
    from headstart.networks.cards.search import ModelQuery
    from headstart.runs.progress import no_progress
    from headstart.workflow.models import list_models, show_model

    progress = _progress() if measure else no_progress
    if name is not None:
        refuse_others(
            context, {"name", "measure", "as_json"}, when="together with NAME", why="one card is shown in full"
        )
        details = show_model(name, measure=measure, progress=progress)
        show_text(json_text(details.to_dict()) if as_json else card_text(details))
        return
    query = query_of(options)
    found = list_models(query, measure=measure, progress=progress)
    if as_json:
        show_text(json_text([model.to_dict() for model in found[:limit]]))
        return
    narrowed = query != ModelQuery(sort=query.sort)
    show_text(cards_text(found, limit=limit or (None if narrowed else SHOWN)))


def _progress() -> Callable[[str, int], Callable[[int], object]]:
    from headstart.apps.cli.text import console

    return console.progress()
