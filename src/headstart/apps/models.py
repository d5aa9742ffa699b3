"""The command `headstart models`: searching the catalog."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer


class Sort(StrEnum):
    """What a list is sorted by."""

    parameters = "parameters"
    top1 = "top1"
    gmacs = "gmacs"
    speed = "speed"
    gpu_speed = "gpu_speed"
    input_size = "input_size"
    name = "name"


class LibraryName(StrEnum):
    """Where networks come from."""

    timm = "timm"
    torchvision = "torchvision"


class Sizes(StrEnum):
    """Whether a network takes images of any size."""

    any = "any"
    fixed = "fixed"


def models(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show one card in full.")] = None,
    contains: Annotated[str | None, typer.Option("--contains", help="Part of the name.")] = None,
    family: Annotated[str | None, typer.Option("--family", help="Such as resnet, efficientnet, convnext.")] = None,
    library: Annotated[LibraryName | None, typer.Option("--library")] = None,
    domain: Annotated[str | None, typer.Option("--domain", help="What the weights were trained on: photo...")] = None,
    max_params: Annotated[str | None, typer.Option("--max-params", help="Such as 10M.")] = None,
    max_gmacs: Annotated[float | None, typer.Option("--max-gmacs", help="Billions of multiply-accumulates.")] = None,
    max_input: Annotated[int | None, typer.Option("--max-input", help="Side of the input in pixels.")] = None,
    min_top1: Annotated[float | None, typer.Option("--min-top1", help="ImageNet accuracy in percent.")] = None,
    min_speed: Annotated[float | None, typer.Option("--min-speed", help="Images a second, as --sort speed.")] = None,
    sizes: Annotated[Sizes | None, typer.Option("--sizes", help="any: takes images of any size.")] = None,
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Only licences that plainly allow commercial use.")
    ] = False,
    sort: Annotated[
        Sort, typer.Option("--sort", help="speed: published CPU images a second, or this machine's with --measure.")
    ] = Sort.parameters,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Only those that no other beats in accuracy and the sort key at once.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time the networks on this machine; remembered for the next time.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Rows to show.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON on stdout.")] = False,
) -> None:
    """List the pretrained networks, search them, or show one."""
    from headstart.apps.cards import SHOWN, card_text, cards_text
    from headstart.apps.parsing import parse_count
    from headstart.models.search import ModelQuery
    from headstart.workflow.progress import no_progress
    from headstart.workflow.zoo import list_models, show_model

    progress = _progress() if measure else no_progress
    if name is not None:
        card = show_model(name, measure=measure, progress=progress)
        print(_json(card) if as_json else card_text(card))
        return
    query = ModelQuery(
        max_parameters=parse_count(max_params, option="--max-params"),
        max_gmacs=max_gmacs,
        max_input_size=max_input,
        min_top1=min_top1,
        min_speed=min_speed,
        family=family,
        library=None if library is None else library.value,
        domain=domain,
        commercial_use="allowed" if commercial else None,
        sizes=None if sizes is None else sizes.value,
        name=contains,
        sort=sort.value,
        front="pareto" if pareto else "all",
    )
    found = list_models(query, measure=measure, progress=progress)
    if as_json:
        print(_json(found[:limit] if limit else found))
        return
    narrowed = query != ModelQuery(sort=query.sort)
    print(cards_text(found, limit=limit or (None if narrowed else SHOWN)))


def _progress() -> Callable[[str, int], Callable[[int], object]]:
    from headstart.apps import console

    return console.progress()


def _json(answer: object) -> str:
    return json.dumps(answer, indent=1, ensure_ascii=False, allow_nan=False)
