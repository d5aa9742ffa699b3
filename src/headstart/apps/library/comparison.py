"""The library verbs `compare` and `resume_comparison`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from headstart.apps.library.calling import Names, PathLike, checked
from headstart.apps.library.results import CompareResult
from headstart.arguments import ArgumentError, one_of
from headstart.comparison.grid import ComparisonKind, GridPlan
from headstart.data.sources.dataset import Links
from headstart.input_spec import Contrast, Resize
from headstart.knowledge.domain import AugmentationName, RequestedDomain
from headstart.plan.plan import NoncommercialWeights
from headstart.plan.request import StrategyName


@checked
def compare(
    what: ComparisonKind | GridPlan,
    data: PathLike | None = None,
    *,
    models: Names | None = None,
    strategies: Names | None = None,
    learning_rates: Sequence[str | float] | str | None = None,
    grid: PathLike | None = None,
    model: str | None = None,
    strategy: StrategyName | None = None,
    epochs: int | None = None,
    input_size: int | None = None,
    resize: Resize | None = None,
    bits: int | None = None,
    bands: str | None = None,
    window: str | None = None,
    contrast: Contrast | None = None,
    links: Links = "inside",
    domain: RequestedDomain | None = None,
    augmentation: AugmentationName | None = None,
    val: PathLike | None = None,
    group: str | None = None,
    limit_train: str | None = None,
    limit_test: str | None = None,
    folds: int | None = None,
    seeds: int | None = None,
    seed: int | None = None,
    metric: Literal["accuracy", "balanced_accuracy", "log_loss"] | None = None,
    halving: Literal["none", "successive"] | None = None,
    extent: Literal["full", "quick"] = "full",
    noncommercial_weights: NoncommercialWeights | None = None,
    out: PathLike | None = None,
    progress: Literal["auto", "none"] = "auto",
) -> CompareResult:
    """Comparison of several trainings on the same images: `headstart.compare("strategies", "photos", seeds=3).chosen`.

    Args:
        what: models, strategies, learning_rates or grid; or a whole `GridPlan`, then with `out` and `progress` only.
        data: DATA; of a grid it overrides the file's.
        models: Networks to compare; the usual ones if None.
        strategies: Strategies to compare; the usual ones if None.
        learning_rates: Learning rates of the whole network to compare; the usual ones if None.
        grid: YAML of what varies.
        model: Network of all trials; the options that follow are of all trials too.
        strategy: Default: feature_extraction for models, full for learning rates.
        epochs: Of every trained phase.
        input_size: Side in pixels.
        resize: How an image becomes a square.
        bits: Bits that images of more than 8 bits use.
        bands: Numbers of the bands that are read, as in `train`.
        window: Of DICOM files, as in `train`.
        contrast: file or clahe, as in `train`.
        links: Links in folders that are followed: those inside DATA, or all (follow).
        domain: Domain of the images.
        augmentation: Augmentation preset.
        val: Folder of class folders that is the test set.
        group: As in `train`.
        limit_train: Train on a seeded sample: 1000, or 100/class.
        limit_test: Evaluate on a seeded sample of the test set.
        folds: Number of folds of all images, by group and class; each variant is trained without each fold and tested
            on it. None: one test set.
        seeds: Number of seeds; 3 if None, with folds 1.
        seed: The first seed; 0 if None.
        metric: Metric by which variants are compared; accuracy if None.
        halving: successive: all variants on a quarter of the images first, then only the better half on more.
        extent: quick: one seed, 30 training images a class, 96 px, 6 epochs.
        noncommercial_weights: allow uses weights whose licence forbids commercial use.
        out: Folder; a new one under comparisons/ if None.
        progress: As in `train`.

    Raises:
        ArgumentError: arguments that do not go together.
        HeadstartError: see its subclasses; Interrupted after Ctrl-C or SIGTERM, with everything saved.
    """
    lists = {"models": models, "strategies": strategies, "learning_rates": learning_rates}
    part = _given(val=None if val is None else os.fspath(val), group=group)
    part |= _given(limit_train=limit_train, limit_test=limit_test, bits=bits, bands=bands, window=window)
    part |= _given(contrast=contrast)
    part |= {} if links == "inside" else {"links": links}
    base = _given(model=model, strategy=strategy, epochs=epochs, input_size=input_size, domain=domain)
    base |= _given(augmentation=augmentation, resize=resize, noncommercial_weights=noncommercial_weights)
    shared = _given(metric=metric, halving=halving, folds=folds)
    if isinstance(what, GridPlan):
        given = _given(data=data, grid=grid, seeds=seeds, seed=seed, **lists) | part | base | shared
        if given or extent != "full":
            odd = ", ".join(given) or "extent"
            raise ArgumentError(f"{odd} has no effect together with a GridPlan", remedy="change the plan")
        return _compared(what, out, progress)
    plan = _grid_of(what, data, lists, grid, (part, base, shared, seeds, seed, extent))
    return _compared(plan, out, progress)


def _grid_of(
    what: ComparisonKind, data: PathLike | None, lists: Mapping[str, Any], grid: PathLike | None, given: tuple[Any, ...]
) -> GridPlan:
    """Plan of the comparison that the arguments describe.

    Raises:
        ArgumentError: a list of another question, or something is missing.
    """
    from headstart.apps.cli.compare import ComparisonOptions, grid_plan_of
    from headstart.apps.cli.compare import WhatOption as Word

    odd = [name for name, value in lists.items() if value is not None and name != what]
    odd += ["grid"] if grid is not None and what != "grid" else []
    if odd:
        raise ArgumentError(f"{', '.join(odd)} does not go with {what!r}", remedy="leave it out")
    if (what == "grid" and grid is None) or (what != "grid" and data is None):
        raise ArgumentError(f"{'grid' if what == 'grid' else 'data'} is missing", expected=f"what {what!r} needs")
    texts = {Word(name): _joined(value) for name, value in lists.items()}
    source = None if data is None else os.fspath(data)
    return grid_plan_of(Word(what), source, texts, None if grid is None else Path(grid), ComparisonOptions(*given))


def _compared(plan: GridPlan, out: PathLike | None, progress: str) -> CompareResult:
    from headstart.apps.cli.text.comparison import ComparisonConsole
    from headstart.workflow import comparing

    if one_of("progress", progress, ("auto", "none")) == "none":
        return CompareResult(comparing.compare(plan, out=None if out is None else Path(out)))
    with ComparisonConsole() as watcher:
        return CompareResult(comparing.compare(plan, out=None if out is None else Path(out), watcher=watcher))


@checked
def resume_comparison(folder: PathLike, *, progress: Literal["auto", "none"] = "auto") -> CompareResult:
    """Resume a comparison that was stopped or killed; trials that have ended are not run again.

    Args:
        folder: Of the comparison.
        progress: As in `train`.

    Raises:
        RunError: not a comparison, or another process works on it.
    """
    from headstart.apps.cli.text.comparison import ComparisonConsole
    from headstart.workflow import comparing

    if progress == "none":
        return CompareResult(comparing.resume_comparison(Path(folder)))
    with ComparisonConsole() as watcher:
        return CompareResult(comparing.resume_comparison(Path(folder), watcher=watcher))


def _given(**values: Any) -> dict[str, Any]:  # noqa: ANN401
    return {name: value for name, value in values.items() if value is not None}


def _joined(names: Sequence[str | float] | str | None) -> str | None:
    if names is None or isinstance(names, str):
        return names
    return ",".join(str(name) for name in names)
