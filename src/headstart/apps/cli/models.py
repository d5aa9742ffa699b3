"""The command `headstart models`: searching the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.filters import (
    AnySize,
    Commercial,
    Contains,
    Family,
    LibraryOption,
    MaxGmacs,
    MaxInput,
    MaxParams,
    MinSpeed,
    MinTop1,
    TrainedOnOption,
    model_query,
)
from headstart.apps.cli.options.parsing import refuse_others
from headstart.apps.cli.options.words import ModelSortOption
from headstart.apps.cli.text.printing import json_text, show_text


def models(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show one card in full.")] = None,
    contains: Contains = None,
    family: Family = None,
    library: LibraryOption = None,
    domain: TrainedOnOption = None,
    max_params: MaxParams = None,
    max_gmacs: MaxGmacs = None,
    max_input: MaxInput = None,
    min_top1: MinTop1 = None,
    min_speed: MinSpeed = None,
    sizes: AnySize = None,
    commercial: Commercial = False,
    sort: Annotated[
        ModelSortOption,
        typer.Option("--sort", help="speed: published CPU images a second, or this machine's with --measure."),
    ] = ModelSortOption.parameters,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Only those that no other beats in accuracy and the sort key at once.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time the networks on this machine; remembered for the next time.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Rows to show.")] = None,
    as_json: of.Json = False,
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
    query = model_query(
        contains=contains,
        family=family,
        library=library,
        domain=domain,
        max_params=max_params,
        max_gmacs=max_gmacs,
        max_input=max_input,
        min_top1=min_top1,
        min_speed=min_speed,
        sizes=sizes,
        commercial=commercial,
        pareto=pareto,
        sort=sort,
    )
    found = list_models(query, measure=measure, progress=progress)
    if as_json:
        show_text(json_text([model.to_dict() for model in found[:limit]]))
        return
    narrowed = query != ModelQuery(sort=query.sort)
    show_text(cards_text(found, limit=limit or (None if narrowed else SHOWN)))


def _progress() -> Callable[[str, int], Callable[[int], object]]:
    from headstart.apps.cli.text import console

    return console.progress()
