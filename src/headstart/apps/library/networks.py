"""The library verbs about networks: `models` searches the catalog, `shortlist` ranks some on your images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from headstart.apps.library.calling import Names, PathLike, checked
from headstart.apps.library.watching import Watch, watching
from headstart.arguments import ArgumentError
from headstart.networks.cards.search import ModelQuery
from headstart.plan.plan import NoncommercialWeights

if TYPE_CHECKING:
    from headstart.advice.shortlist.ranking import Shortlist


@checked
def shortlist(
    data: PathLike,
    models: Names = (),
    *,
    query: ModelQuery | None = None,
    keep: int = 3,
    images: int | None = None,
    group: str | None = None,
    input_size: int | None = None,
    contains: str | None = None,
    family: str | None = None,
    library: Literal["timm", "torchvision"] | None = None,
    domain: str | None = None,
    max_params: float | str | None = None,
    max_gmacs: float | None = None,
    max_input: int | None = None,
    min_top1: float | None = None,
    min_speed: float | None = None,
    sizes: Literal["any", "fixed"] | None = None,
    commercial_use: Literal["allowed"] | None = None,
    front: Literal["all", "pareto"] = "all",
    seed: int = 0,
    store: PathLike | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Watch = "auto",
) -> Shortlist:
    """Networks worth training on DATA, best first: `headstart.shortlist("photos", ["resnet18", "resnet50"]).models`.

    Args:
        data: DATA; images that would report are not looked at.
        models: Names, or one text with commas between them; or search the catalog with what follows.
        query: A search as one object.
        keep: Length of the list.
        images: Of the last round; None: 512, or more for many classes.
        group: Regular expression on the image path; what its group 1 matches stays in one fold.
        input_size: Side in pixels for all; None takes each network's own.
        contains: Part of the name.
        family: Such as resnet, efficientnet, convnext.
        library: Where the network comes from.
        domain: What the weights were trained on.
        max_params: Parameters at most: 10e6 or "10M".
        max_gmacs: Billions of multiply-accumulates at most.
        max_input: Side of the input in pixels at most.
        min_top1: ImageNet accuracy in percent at least.
        min_speed: CPU images a second at least, as published.
        sizes: any: takes images of any size.
        commercial_use: allowed: only licences that plainly allow it.
        front: pareto keeps what no other beats in accuracy and parameters at once.
        seed: Give `train` the same, and no image that reports was seen here.
        store: Folder of the store; None is `$HEADSTART_HOME/store`.
        noncommercial_weights: refuse skips weights whose licence forbids commercial use.
        progress: As in `train`.

    Raises:
        ArgumentError: a query and words of one.
        HeadstartError: see its subclasses; Interrupted after Ctrl-C, with all features kept.
    """
    from headstart.apps.cli.options.parsing import parse_count
    from headstart.workflow import shortlisting

    asked = ModelQuery(
        max_parameters=parse_count(max_params, option="max_params") if isinstance(max_params, str) else max_params,
        max_gmacs=max_gmacs,
        max_input_size=max_input,
        min_top1=min_top1,
        min_speed=min_speed,
        family=family,
        library=library,
        domain=domain,
        commercial_use=commercial_use,
        sizes=sizes,
        name=contains,
        front=front,
    )
    if asked != ModelQuery():
        if query is not None:
            raise ArgumentError("query and words that search are given", remedy="give one of them")
        query = asked
    with watching(progress) as (shown, _):
        return shortlisting.shortlist(
            data,
            models,
            query=query,
            keep=keep,
            images=images,
            group=group,
            input_size=input_size,
            seed=seed,
            store=store,
            noncommercial_weights=noncommercial_weights,
            progress=shown,
        )
