"""Options as keyword arguments: their names and types for editors and type checkers, and their checks.

`Request`, `DataPlan` and `ModelQuery` define which options there are, their defaults and what they may be;
`TrainKeywords` and `SearchKeywords` repeat names and types where editors and type checkers can read them, and tests
compare the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Literal, TypedDict, get_type_hints

from headstart.arguments import fault_of, parse_count, refuse_unknown
from headstart.data.sources.dataset import Links
from headstart.errors import PlanError
from headstart.input_spec import Contrast, Resize
from headstart.knowledge.domain import AugmentationName, RequestedDomain
from headstart.knowledge.imbalance import Imbalance
from headstart.measures.figures import SelectionMetric
from headstart.networks.cards.catalog import CommercialUse
from headstart.networks.cards.search import ModelQuery, SortKey
from headstart.networks.cards.table import Library
from headstart.plan.plan import DataPlan, Grain, NoncommercialWeights
from headstart.plan.request import (
    OPTIONS,
    AfterAlarm,
    HeadKind,
    HeadSolver,
    LrRuleName,
    OptimizerName,
    PeakLr,
    Request,
    StrategyName,
)
from headstart.plan.sections import ChannelChoice


class DataKeywords(TypedDict, total=False):
    """Keywords about the images and their splits; see `headstart.DataPlan`."""

    val: str | None
    group: str | None
    fold: str | None
    unreadable: Literal["leave_out", "stop"]
    limit_train: str | None
    limit_test: str | None
    bits: int | None
    bands: str | None
    band_count: int | None
    window: str | None
    contrast: Contrast | None
    links: Links
    test_fraction: float
    test_seed: int | None
    validation_fraction: float
    validation: Literal["auto", "held_out"]


class TrainKeywords(DataKeywords, total=False):
    """Keywords of training; see `headstart.Request`."""

    strategy: StrategyName
    model: str | None
    domain: RequestedDomain | None
    input_size: int | None
    resize: Resize | None
    channels: ChannelChoice | None
    epochs: int | None
    unfreeze: int | None
    lr_rule: LrRuleName | None
    peak_lr: PeakLr
    grain: Grain | None
    noncommercial_weights: NoncommercialWeights
    augmentation: AugmentationName | None
    head: HeadKind | None
    head_solver: HeadSolver
    batch_size: int | None
    lr: float | None
    head_lr: float | None
    optimizer: OptimizerName | None
    weight_decay: float | None
    patience: int | None
    after_alarm: AfterAlarm
    imbalance: Imbalance
    class_weight: Literal["balanced"] | Mapping[str, float] | None
    metric: SelectionMetric | None
    interpolate: Literal["none", "auto"]
    seed: int
    budget_seconds: float | None
    workers: int | None
    device: str | None


class SearchKeywords(TypedDict, total=False):
    """Keywords of a search of the catalog; see `headstart.networks.cards.search.ModelQuery`."""

    contains: str | None
    family: str | None
    library: Library | None
    domain: str | None
    max_params: float | str | None
    max_gmacs: float | None
    max_input: int | None
    min_top1: float | None
    min_speed: float | None
    sizes: Literal["any", "fixed"] | None
    commercial_use: CommercialUse | None
    front: Literal["all", "pareto"]


INSTEAD: Mapping[str, str] = {
    "allow_noncommercial": "noncommercial_weights='allow'",
    "find_lr": "peak_lr='find'",
    "rescue": "after_alarm='rescue'",
    "strict": "unreadable='stop'",
    "budget": "budget_seconds=600",
    "quick": "extent='quick'",
    "with_images": "images='shown'",
    "learning_rate": "lr=1e-3",
    "random_state": "seed=0",
}
"""Option of the command line, or what a user of other libraries may write -> what a keyword argument says."""


def refuse_wrong_values(given: Mapping[str, object], hints: Mapping[str, Any]) -> None:
    """Refuse values of another type or word than the annotations say.

    Raises:
        PlanError: with every fault at once.
    """
    faults = [fault for name, value in given.items() if (fault := fault_of(name, value, hints[name]))]
    if faults:
        raise PlanError(faults, source="the arguments")


def with_keywords(options: Request, given: Mapping[str, Any], *, where: str) -> Request:
    """Options with the keyword arguments in their place.

    Args:
        options: Where nothing is given.
        given: Of `TrainKeywords`.
        where: The function, as the user calls it.

    Raises:
        ArgumentError: no such keyword.
        PlanError: values of another type, or no such word; with every fault at once.
    """
    hints = get_type_hints(TrainKeywords)
    refuse_unknown(given, hints, where=where, instead=INSTEAD)
    refuse_wrong_values(given, hints)
    part = {name: value for name, value in given.items() if name not in OPTIONS}
    data = DataPlan.from_options(**options.data.model_dump() | part) if part else options.data
    return replace(options, data=data, **{name: value for name, value in given.items() if name in OPTIONS})


def query_of(given: Mapping[str, Any], *, where: str, known: Iterable[str], sort: SortKey = "parameters") -> ModelQuery:
    """The search that keyword arguments describe.

    Args:
        given: Of `SearchKeywords`.
        where: The function, as the user calls it.
        known: Its other arguments, which are named if one of these is unknown.
        sort: Order of the list.

    Raises:
        ArgumentError: no such keyword.
        PlanError: values of another type, or no such word; with every fault at once.
        HeadstartError: `max_params` is no count.
    """
    hints = get_type_hints(SearchKeywords)
    refuse_unknown(given, {*hints, *known}, where=where, instead=INSTEAD)
    refuse_wrong_values(given, hints)
    found = dict(given)
    if isinstance(most := given.get("max_params"), str):
        found["max_params"] = parse_count(most, option="max_params")
    return ModelQuery(**found, sort=sort)


def search_defaults() -> dict[str, Any]:
    """Keyword -> default, of all keywords of a search."""
    found = {field.name: field.default for field in fields(ModelQuery)}
    return {name: found[name] for name in get_type_hints(SearchKeywords)}


def defaults() -> dict[str, Any]:
    """Keyword -> default, of all keywords of training."""
    found = {field.name: field.default for field in fields(Request)}
    found |= {name: field.default for name, field in DataPlan.model_fields.items()}
    return {name: found[name] for name in get_type_hints(TrainKeywords)}
