"""Plan of a comparison: a base, variants and seeds. Written as YAML, read with all faults at once.

what: grid
data: {source: photos, limit_train: 100/class}
base: {strategy: full, epochs: 5}                    # options of `headstart train`
vary:
  model: [tf_efficientnet_lite0, resnet18]           # an option of train
  phases[tune].head_lr: [1.0e-3, 1.0e-4]       # or a path in the plan; a phase by its name or number
  recipe:                                            # or several changes under one name
    plain: {}
    smooth: {optimizer.label_smoothing: 0.1, batch_size: 64}
seeds: [0, 1, 2]
folds: 5                                             # instead of one test set: each image is tested once a seed
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import Field, ValidationError

from headstart.amounts import count_text
from headstart.comparison.upgrade import upgraded_grid
from headstart.errors import PlanError
from headstart.plan.faults import read_yaml, sentences
from headstart.plan.fold import MOST_FOLDS, Fold
from headstart.plan.sections import DataPlan, Section

ComparisonKind: TypeAlias = Literal["models", "strategies", "learning_rates", "grid"]
Metric: TypeAlias = Literal["accuracy", "balanced_accuracy", "log_loss"]
Changes: TypeAlias = dict[str, Any]
"""Option of `train` or path in the plan -> value."""

RUNG_SHARES = (0.25, 0.5, 1.0)
"""Successive halving (Jamieson & Talwalkar 2016): shares of the training images by round."""

_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)((?:\[[^\[\]]+\])*)")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._=+-]+")


class GridPlan(Section):
    """Plan of a comparison; kept in its folder as comparison.yaml."""

    schema_version: Literal[2] = 2
    what: ComparisonKind = "grid"
    data: DataPlan
    base: dict[str, Any] = Field(default_factory=dict)
    """Options of `train` of all trials."""
    vary: Annotated[dict[str, list[Any] | dict[str, dict[str, Any]]], Field(min_length=1)]
    """Option or path -> its values, or names of several changes at once. Trials are all combinations."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1)] = (0, 1, 2)
    """Each decides splits, samples, order, augmented views and initial heads; trials of the first seed run first."""
    folds: Annotated[int, Field(ge=2, le=MOST_FOLDS)] | None = None
    """Number of folds: every variant is trained once for each fold of all images, on which it is then tested, with
    every seed. None: one test set."""
    metric: Metric = "accuracy"
    """Metric by which variants are compared, on validation and on test images."""
    halving: Literal["none", "successive"] = "none"
    """successive: all variants train on a quarter of the images, the better half on a half, and so on."""
    missing_weights: Literal["random", "fail"] = "random"
    """random: networks whose weights are unavailable run with random ones for time, memory and latency; their accuracy
    is not reported. fail: such a trial fails."""

    def __repr__(self) -> str:
        varied = ", ".join(f"{len(values)} of {name}" for name, values in self.vary.items())
        folds = "" if self.folds is None else f", {self.folds} folds"
        return f"GridPlan({self.what} on {self.data.source}: {varied}, {count_text(len(self.seeds), 'seed')}{folds})"

    @classmethod
    def from_dict(cls, raw: Any, *, source: str) -> GridPlan:  # noqa: ANN401 - whatever YAML holds
        """Plan from plain values, checked.

        Raises:
            PlanError: with every fault.
        """
        if not isinstance(raw, dict):
            raise PlanError([f"the file holds {type(raw).__name__}, not a mapping of keys"], source=source)
        if raw.get("folds") is not None:  # folds repeat the training already
            raw = {"seeds": [0], **raw}
        try:
            plan = cls.model_validate(raw)
        except ValidationError as error:
            raise PlanError(sentences(error, raw), source=source) from error
        plan.refuse_contradictions(source)
        return plan

    @classmethod
    def read(cls, path: Path, **replaced: Any) -> GridPlan:  # noqa: ANN401 - values of any key
        """Plan read from YAML, of this schema version or an older one.

        `replaced` overrides its keys, except None; of data and base only keys inside.
        `usual_data` and `usual_base` hold defaults for keys that the file does not set.

        Raises:
            PlanError: the file cannot be read, is not YAML, or has faults.
        """
        raw = read_yaml(path)
        if isinstance(raw, dict):
            # First: `replaced` and the usual values have today's names, with which those of the file are compared.
            raw = upgraded_grid(raw)
            varied = {key for name, values in _mapping(raw.get("vary")).items() for key in _keys(name, values)}
            for key in ("data", "base"):
                usual = replaced.pop(f"usual_{key}", None) or {}
                if isinstance(raw.get(key, {}), dict) and usual:
                    left = {name: value for name, value in usual.items() if name not in varied}
                    raw[key] = {**left, **raw.get(key, {})}
            for key, value in replaced.items():
                inside = key in ("data", "base") and isinstance(raw.get(key, {}), dict)
                if value is not None:
                    raw[key] = {**raw.get(key, {}), **value} if inside else value
        return cls.from_dict(raw, source=str(path))

    def to_yaml(self) -> str:
        """YAML text that `read` turns into an equal plan."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)

    def refuse_contradictions(self, source: str) -> None:
        """Refuse keys that contradict each other.

        Raises:
            PlanError: with every fault.
        """
        faults = [f"vary.{key}: has no values" for key, values in self.vary.items() if not values]
        faults += [f"base.{key}: varies already" for key in self.base if key in self.vary]
        if len(set(self.seeds)) < len(self.seeds):
            faults.append(f"seeds: {list(self.seeds)} names a seed twice")
        if self.folds is not None:
            given = {"val": self.data.val, "fold": self.data.fold}
            faults += [
                f"data.{name}: {value!r} and {self.folds} folds are both the test set; leave one out"
                for name, value in given.items()
                if value is not None
            ]
        for one, other in itertools.combinations(self.vary, 2):
            both = _keys(one, self.vary[one]) & _keys(other, self.vary[other])
            faults += [f"vary: {one} and {other} both set {key}" for key in sorted(both)]
        names = [variant.name for variant in self.variants()] if not faults else []
        faults += [
            f"vary: two variants are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1})
        ]
        if self.halving == "successive" and len(names) == 2 and not faults:
            faults.append("halving: successive keeps two variants, so it needs three or more")
        if len(names) == 1 and not faults:
            faults.append(f"vary: only {names[0]!r}; at least two variants can be compared")
        if faults:
            raise PlanError(faults, source=source)

    def variants(self) -> list[Variant]:
        """Variants: all combinations of values, in the order of the file."""
        return [_joined(parts) for parts in itertools.product(*map(_options, self.vary, self.vary.values()))]


@dataclass(frozen=True)
class Variant:
    """One combination of values."""

    name: str
    changes: Changes


@dataclass(frozen=True)
class Trial:
    """One run of one variant with one seed."""

    number: int
    """From 1, in the order of running."""
    variant: Variant
    seed: int
    share: float = 1.0
    """Of the training images; below 1 in the early rounds of successive halving."""
    fold: Fold | None = None
    """The fold on which it is tested; None where all trials share one test set."""

    @property
    def repeat(self) -> int:
        """Key of its row among those of its variant: its seed, or a number for each seed and fold, in their order."""
        return self.seed if self.fold is None else self.seed * (MOST_FOLDS + 1) + self.fold.number

    @property
    def words(self) -> str:
        """Its variant, seed and fold as a line says them."""
        return f"{self.variant.name}, seed {self.seed}" + (f", {self.fold.sentence}" if self.fold else "")

    @property
    def name(self) -> str:
        """Name of its folder."""
        safe = _NOT_IN_NAMES.sub("-", self.variant.name).strip("-")[:60] or "variant"
        part = "" if self.fold is None else f"-fold{self.fold.number}"
        part += "" if self.share == 1 else f"-{self.share:.0%}".replace("%", "pc")
        return f"{self.number:03d}-{safe}-seed{self.seed}{part}"


def repeats_of(seeds: Sequence[int], folds: int | None) -> list[tuple[int, Fold | None]]:
    """(seed, fold) of the trials of one variant, in the order of running.

    Args:
        seeds: Of the comparison.
        folds: Number of folds, if there are any.
    """
    tested = [None] if folds is None else [Fold(number, folds) for number in range(1, folds + 1)]
    return list(itertools.product(seeds, tested))


def trials_of(variants: Sequence[Variant], seeds: Sequence[int], folds: int | None = None) -> list[Trial]:
    """Trials, the first seed of all variants first: half a comparison is a whole one with fewer seeds."""
    pairs = itertools.product(repeats_of(seeds, folds), variants)
    return [Trial(number, variant, seed, fold=fold) for number, ((seed, fold), variant) in enumerate(pairs, start=1)]


def rung_sizes(variants: int) -> list[tuple[float, int]]:
    """(share of the training images, number of variants) of each round of successive halving; two or more in the last.

    Args:
        variants: Number of variants at the start, >= 2.
    """
    return [(share, max(2, -(-variants // 2**index))) for index, share in enumerate(RUNG_SHARES)]


def split_changes(changes: Mapping[str, Any], options: Sequence[str]) -> tuple[Changes, Changes]:
    """(options of train, paths in the plan).

    Args:
        changes: Of a variant.
        options: Names of the options of train.
    """
    named = {key: value for key, value in changes.items() if key in options}
    return named, {key: value for key, value in changes.items() if key not in options}


def changed(raw: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Plan as plain values with changes at paths such as `phases[tune].head_lr`.

    Args:
        raw: `Plan.model_dump(mode="json")`; it is changed in place and returned.
        changes: Path -> value; the value replaces what is there, a mapping too.

    Raises:
        PlanError: with every path that does not exist in the plan.
    """
    faults = []
    for path, value in changes.items():
        try:
            *steps, last = _steps(path)
            place: Any = raw
            for step in steps:
                place = _inside(place, step)
            if isinstance(place, list):
                place[_index(place, last)] = value
            elif last in place:
                place[last] = value
            else:
                raise KeyError(last)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            faults.append(
                f"{path}: is not in this plan ({error}); headstart train writes a plan.yaml that shows its keys"
            )
    if faults:
        raise PlanError(faults, source="the changes")
    return raw


def _steps(path: str) -> list[str]:
    """`phases[tune].head_lr` -> phases, tune, head_lr."""
    found: list[str] = []
    for part in path.split("."):
        match = _STEP.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is no name")
        found += [match[1], *re.findall(r"\[([^\[\]]+)\]", match[2])]
    return found


def _inside(place: Any, step: str) -> Any:  # noqa: ANN401 - plain values
    return place[_index(place, step)] if isinstance(place, list) else place[step]


def _index(items: Sequence[Any], step: str) -> int:
    """Index of a phase, given by number or name."""
    if step.lstrip("-").isdigit():
        if not 0 <= int(step) < len(items):
            raise IndexError(f"there are {len(items)}")
        return int(step)
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if step not in names:
        raise KeyError(f"no {step!r} among {', '.join(map(str, names))}")
    return names.index(step)


def _mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever YAML holds
    return value if isinstance(value, dict) else {}


def _keys(name: str, values: Any) -> set[str]:  # noqa: ANN401 - whatever YAML holds
    """Keys that one entry of `vary` sets."""
    if isinstance(values, dict):
        return {key for changes in values.values() if isinstance(changes, dict) for key in changes}
    return {name}


def _options(key: str, values: list[Any] | dict[str, Changes]) -> list[Variant]:
    if isinstance(values, dict):
        return [Variant(name, dict(changes)) for name, changes in values.items()]
    return [Variant(_text(value), {key: value}) for value in values]


def _joined(parts: Sequence[Variant]) -> Variant:
    changes = itertools.chain.from_iterable(part.changes.items() for part in parts)
    return Variant(", ".join(part.name for part in parts), dict(changes))


def _text(value: Any) -> str:  # noqa: ANN401 - plain values
    return f"{value:g}" if isinstance(value, float) else str(value)
