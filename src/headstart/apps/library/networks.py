"""The library verbs about networks: `models` searches the catalog, `shortlist` ranks some on your images."""

from __future__ import annotations

import os
from inspect import signature
from typing import TYPE_CHECKING, Literal

from headstart.apps.library.calling import Names, PathLike, checked, with_search
from headstart.apps.library.results import ModelList
from headstart.apps.library.watching import Watch, watching
from headstart.arguments import ArgumentError
from headstart.input_spec import Contrast
from headstart.networks.cards.search import ModelQuery, SortKey
from headstart.plan.plan import DataPlan, NoncommercialWeights
from headstart.plan.sections import ChannelChoice
from headstart.workflow.keywords import SearchKeywords, query_of

if TYPE_CHECKING:
    from typing import Unpack

    from headstart.advice.shortlist.ranking import Shortlist


@with_search
@checked
def models(
    name: str | None = None,
    *,
    sort: SortKey = "parameters",
    speed: Literal["published", "measured"] = "published",
    limit: int | None = None,
    progress: Watch = "auto",
    **options: Unpack[SearchKeywords],
) -> ModelList:
    """Cards of pretrained networks: `headstart.models(max_params="10M", min_top1=75, sort="speed").names`.

    Args:
        name: ARCH or ARCH:TAG: the card of this one.
        sort: What the list is sorted by.
        speed: measured times the networks on this machine.
        limit: Cards to return; all if None.
        progress: As in `train`, while networks are timed.
        options: A search, by the names of `ModelQuery`: contains (part of the name), family, library,
            domain, max_params (10e6 or "10M"), max_gmacs, max_input (pixels), min_top1 (percent), min_speed (images
            a second on a CPU), sizes (any or fixed), commercial_use (allowed), front (pareto keeps what no other
            beats in accuracy and the sort key at once).

    Raises:
        ModelError: no such network or family, or too many networks to time.
        ArgumentError: no such argument, a search together with a name, or a limit below 1.
        PlanError: a value of another type, or no such word.
        MissingExtraError: timing needs torch.
    """
    from headstart.workflow.models import find_cards

    query = query_of(options, where="headstart.models", known=signature(models).parameters, sort=sort)
    # Never an argument without effect: one card needs no search.
    if name is not None and (query != ModelQuery() or limit is not None):
        raise ArgumentError("a search has no effect together with a name", remedy="leave one of them out")
    if limit is not None and limit < 1:
        raise ArgumentError(f"limit={limit} is not valid", expected="a whole number >= 1")
    with watching(progress) as (shown, _):
        cards, measured = find_cards(query if name is None else name, speed=speed, progress=shown)
    return ModelList(tuple(cards[:limit]), measured)


@with_search
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
    bits: int | None = None,
    bands: str | None = None,
    window: str | None = None,
    contrast: Contrast | None = None,
    channels: ChannelChoice | None = None,
    seed: int = 0,
    store: PathLike | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Watch = "auto",
    **options: Unpack[SearchKeywords],
) -> Shortlist:
    """Networks worth training on DATA, best first: `headstart.shortlist("photos", ["resnet18", "resnet50"]).models`.

    Args:
        data: DATA; the test set is not read.
        models: Names, or one text with commas between them; or search the catalog with `options`.
        query: A search as one object.
        keep: Length of the list.
        images: Images of the last round; None: 512, or more for many classes.
        group: Regular expression on the image path; what its group 1 matches stays in one fold.
        input_size: Side in pixels for all; None takes each network's own.
        bits: Bits that images of more than 8 bits use; the next three are as in `train`, too.
        bands: Numbers of the bands that are read.
        window: Of DICOM files.
        contrast: file or clahe.
        channels: How 2 or 4 to 16 bands reach weights of three channels: auto or None is learned, because no probe
            compares the ways here.
        seed: Train with the same seed to keep the test set unseen.
        store: Folder of the cache; None is `$HEADSTART_HOME/store`.
        noncommercial_weights: refuse skips weights whose licence forbids commercial use.
        progress: As in `train`.
        options: A search, as in `models`.

    Raises:
        ArgumentError: no such argument, or a query together with keywords of a search.
        HeadstartError: see its subclasses; Interrupted after Ctrl-C, with all features cached.
    """
    from headstart.workflow import shortlisting

    requested = query_of(options, where="headstart.shortlist", known=signature(shortlist).parameters)
    if requested != ModelQuery():
        if query is not None:
            raise ArgumentError("both a query and keywords of a search are given", remedy="give one of them")
        query = requested
    decoding = {"bits": bits, "bands": bands, "window": window, "contrast": contrast}
    part = DataPlan.from_options(source=os.fspath(data), **decoding)
    with watching(progress) as (shown, _):
        return shortlisting.shortlist(
            data,
            models,
            query=query,
            keep=keep,
            images=images,
            group=group,
            input_size=input_size,
            decoding=part.decoding,
            channels=channels,
            seed=seed,
            store=store,
            noncommercial_weights=noncommercial_weights,
            progress=shown,
        )
