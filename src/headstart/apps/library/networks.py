"""The library verbs about networks: `models` searches the catalog, `shortlist` ranks some on your images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from headstart.apps.library.calling import Names, PathLike, checked
from headstart.apps.library.results import ModelList
from headstart.apps.library.watching import Watch, watching
from headstart.arguments import ArgumentError
from headstart.networks.cards.search import ModelQuery, SortKey
from headstart.plan.plan import NoncommercialWeights

if TYPE_CHECKING:
    from headstart.advice.shortlist.ranking import Shortlist


@checked
def models(
    name: str | None = None,
    *,
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
    sort: SortKey = "parameters",
    front: Literal["all", "pareto"] = "all",
    speed: Literal["published", "measured"] = "published",
    limit: int | None = None,
    progress: Watch = "auto",
) -> ModelList:
    """Cards of pretrained networks: `headstart.models(max_params="10M", min_top1=75, sort="speed").names`.

    Args:
        name: ARCH or ARCH:TAG: the card of this one.
        contains: Part of the name.
        family: Such as resnet, efficientnet, convnext.
        library: Where the network comes from.
        domain: What the weights were trained on.
        max_params: Parameters at most: 10e6 or "10M".
        max_gmacs: Billions of multiply-accumulates at most.
        max_input: Side of the input in pixels at most.
        min_top1: ImageNet accuracy in percent at least.
        min_speed: Images a second on a CPU at least.
        sizes: any: takes images of any size.
        commercial_use: allowed: only licences that plainly allow it.
        sort: What the list is sorted by.
        front: pareto keeps what no other beats in accuracy and the sort key at once.
        speed: measured times the networks on this machine.
        limit: Cards to return; all if None.
        progress: As in `train`, while networks are timed.

    Raises:
        ModelError: no such network or family, or too many networks to time.
        ArgumentError: a search together with a name, or a limit below 1.
        MissingExtraError: timing needs torch.
    """
    from headstart.workflow.models import find_cards

    query = _query(
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
        commercial_use=commercial_use,
        front=front,
        sort=sort,
    )
    if name is not None and (query != ModelQuery() or limit is not None):
        raise ArgumentError("a search has no effect together with a name", remedy="leave one of them out")
    if limit is not None and limit < 1:
        raise ArgumentError(f"limit={limit} is not valid", expected="a whole number >= 1")
    with watching(progress) as (shown, _):
        cards, measured = find_cards(query if name is None else name, speed=speed, progress=shown)
    return ModelList(tuple(cards[:limit]), measured)


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
        data: DATA; the test set is not read.
        models: Names, or one text with commas between them; or search the catalog with what follows.
        query: A search as one object.
        keep: Length of the list.
        images: Images of the last round; None: 512, or more for many classes.
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
        seed: Train with the same seed to keep the test set unseen.
        store: Folder of the cache; None is `$HEADSTART_HOME/store`.
        noncommercial_weights: refuse skips weights whose licence forbids commercial use.
        progress: As in `train`.

    Raises:
        ArgumentError: a query together with keywords of a search.
        HeadstartError: see its subclasses; Interrupted after Ctrl-C, with all features cached.
    """
    from headstart.workflow import shortlisting

    wanted = _query(
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
        commercial_use=commercial_use,
        front=front,
    )
    if wanted != ModelQuery():
        if query is not None:
            raise ArgumentError("both a query and keywords of a search are given", remedy="give one of them")
        query = wanted
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


def _query(*, max_params: float | str | None, contains: str | None, max_input: int | None, **rest: Any) -> ModelQuery:  # noqa: ANN401
    """What the keywords of a search ask of the catalog.

    Raises:
        HeadstartError: `max_params` is no count.
    """
    from headstart.apps.cli.options.parsing import parse_count

    most = parse_count(max_params, option="max_params") if isinstance(max_params, str) else max_params
    return ModelQuery(max_parameters=most, name=contains, max_input_size=max_input, **rest)
