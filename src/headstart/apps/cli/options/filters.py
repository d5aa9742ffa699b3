"""Options that search the catalog, the same at every command that has them, and the query they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headstart.apps.cli.options.words import LibraryName, ModelSortOption, Sizes

if TYPE_CHECKING:
    from headstart.networks.cards.search import ModelQuery


Contains = Annotated[str | None, typer.Option("--contains", help="Part of the name.")]
Family = Annotated[str | None, typer.Option("--family", help="Such as resnet, efficientnet, convnext.")]
LibraryOption = Annotated[LibraryName | None, typer.Option("--library", help="Library of the network.")]
TrainedOnOption = Annotated[
    str | None, typer.Option("--domain", help="Domain the weights were trained on, such as photo.")
]
MaxParams = Annotated[str | None, typer.Option("--max-params", help="Most parameters, such as 10M.")]
MaxGmacs = Annotated[
    float | None, typer.Option("--max-gmacs", help="Most GMACs: billions of multiply-accumulates an image.")
]
MaxInput = Annotated[int | None, typer.Option("--max-input", help="Largest input side in pixels.")]
MinTop1 = Annotated[float | None, typer.Option("--min-top1", help="Least ImageNet top-1 accuracy in percent.")]
MinSpeed = Annotated[
    float | None,
    typer.Option(
        "--min-speed", help="Least CPU throughput in images/s, as published; with `models --measure` on this machine."
    ),
]
AnySize = Annotated[Sizes | None, typer.Option("--sizes", help="any: networks that take images of any size.")]
Commercial = Annotated[bool, typer.Option("--commercial", help="Only licences that plainly allow commercial use.")]


def model_query(
    *,
    contains: str | None,
    family: str | None,
    library: LibraryName | None,
    domain: str | None,
    max_params: str | None,
    max_gmacs: float | None,
    max_input: int | None,
    min_top1: float | None,
    min_speed: float | None,
    sizes: Sizes | None,
    commercial: bool,
    pareto: bool,
    sort: ModelSortOption = ModelSortOption.parameters,
) -> ModelQuery:
    """The query that the options of a command ask for.

    Raises:
        HeadstartError: --max-params is no count.
    """
    from headstart.apps.cli.options.parsing import parse_count
    from headstart.networks.cards.search import ModelQuery

    return ModelQuery(
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
