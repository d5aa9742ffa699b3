"""The command `headstart compare`: several trainings on the same images, with paired tests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.parsing import refuse_others
from headstart.apps.cli.text.printing import json_text, show_text
from headstart.comparison.questions import COMPARED_LEARNING_RATES, COMPARED_MODELS, COMPARED_STRATEGIES, DEFAULT_SEEDS
from headstart.plan.fold import MOST_FOLDS
from headstart.plan.request import StrategyName

if TYPE_CHECKING:
    from headstart.comparison.grid import GridPlan


class WhatOption(StrEnum):
    """What is compared."""

    models = "models"
    strategies = "strategies"
    learning_rates = "learning_rates"
    grid = "grid"


class MetricOption(StrEnum):
    """By which figure."""

    accuracy = "accuracy"
    balanced_accuracy = "balanced_accuracy"
    log_loss = "log_loss"


class Halving(StrEnum):
    """Whether weak variants are dropped early."""

    none = "none"
    successive = "successive"


def compare(
    context: typer.Context,
    what: Annotated[
        WhatOption | None, typer.Argument(metavar="WHAT", help="models, strategies, learning_rates or grid.")
    ] = None,
    data: Annotated[str | None, typer.Argument(metavar="DATA", help="As for train.")] = None,
    models: Annotated[
        str | None, typer.Option("--models", help=f"Names with commas between; default: {', '.join(COMPARED_MODELS)}.")
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option("--strategies", help=f"Names with commas between; default: {', '.join(COMPARED_STRATEGIES)}."),
    ] = None,
    learning_rates: Annotated[
        str | None,
        typer.Option(
            "--learning-rates",
            help=f"Learning rates of the whole network; default: {', '.join(COMPARED_LEARNING_RATES)}.",
            rich_help_panel="Training",
        ),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option("--grid", help="YAML of what varies; see docs/guide/compare.md.", rich_help_panel="Run"),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Network of all trials.")] = None,
    strategy: Annotated[
        StrategyName | None,
        typer.Option("--strategy", help="Strategy of all trials; default: feature_extraction for models, else full."),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Of every trained phase.")] = None,
    input_size: Annotated[
        int | None, typer.Option("--input-size", help="Side in pixels.", rich_help_panel="Data")
    ] = None,
    resize: of.ResizeOption = None,
    bits: of.Bits = None,
    bands: of.BandsOption = None,
    window: of.WindowOption = None,
    contrast: of.ContrastOption = None,
    links: of.LinksOption = "inside",
    domain: of.DomainOption = None,
    augmentation: of.AugmentationOption = None,
    val: Annotated[
        str | None, typer.Option("--val", help="Folder of class folders that is the test set.", rich_help_panel="Data")
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="As for train.", rich_help_panel="Data")] = None,
    limit_train: Annotated[
        str | None,
        typer.Option("--limit-train", help="Train on a seeded sample: 1000, or 100/class.", rich_help_panel="Data"),
    ] = None,
    limit_test: Annotated[
        str | None,
        typer.Option(
            "--limit-test",
            help="Evaluate on a seeded sample of the test set: 1000, or 100/class.",
            rich_help_panel="Data",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            min=2,
            max=MOST_FOLDS,
            help="Folds of all images by group and class; each variant is trained without each fold and tested on it.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Number of seeds; default 3, with --folds 1.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="The first seed; default 0.", rich_help_panel="Run")
    ] = None,
    metric: Annotated[
        MetricOption | None,
        typer.Option(
            "--metric",
            help="Metric that is compared, and selects inside each trial; default accuracy.",
            rich_help_panel="Training",
        ),
    ] = None,
    halving: Annotated[
        Halving | None,
        typer.Option(
            "--halving",
            help="successive: all variants on a quarter of the images, then only the better half on more.",
            rich_help_panel="Run",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One seed, 30 training images a class, 96 px, 6 epochs: a quick benchmark.")
    ] = False,
    allow_noncommercial: of.AllowNoncommercial = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default: a new one under comparisons/.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", help="Resume this comparison; takes no other option.", rich_help_panel="Run"),
    ] = None,
    as_json: data_and_json.Json = False,
) -> None:
    """Compare networks, strategies or learning rates.

    Trains all variants on the same images, and says with paired tests which is better and which are tied.
    """
    from headstart.apps.cli.text.comparison import ComparisonConsole, comparison_text
    from headstart.workflow import comparing

    with ComparisonConsole() as watcher:
        if resume is not None:
            refuse_others(
                context, {"resume", "as_json"}, when="together with --resume", why="it resumes what was begun"
            )
            result = comparing.resume_comparison(resume, watcher=watcher)
        else:
            part = _said(val=val, group=group, limit_train=limit_train, limit_test=limit_test)
            part |= _said(bits=bits, bands=bands, window=window, contrast=contrast)
            part |= _said(links=None if links == "inside" else links)
            base = _said(model=model, strategy=strategy, epochs=epochs, input_size=input_size, domain=domain)
            base |= _said(resize=resize)
            base |= _said(augmentation=augmentation, noncommercial_weights="allow" if allow_noncommercial else None)
            shared = _said(metric=metric and metric.value, halving=halving and halving.value, folds=folds)
            options = ComparisonOptions(part, base, shared, seeds, seed, "quick" if quick else "full")
            lists = {WhatOption.models: models, WhatOption.strategies: strategies}
            lists[WhatOption.learning_rates] = learning_rates
            plan = grid_plan_of(what, data, lists, grid, options)
            result = comparing.compare(plan, out=out, watcher=watcher)
    if as_json:
        show_text(json_text(result.to_dict()))
    else:
        show_text(comparison_text(result))


@dataclass(frozen=True)
class ComparisonOptions:
    """Options that every kind of comparison takes, as far as they were given."""

    data: dict[str, Any]
    base: dict[str, Any]
    shared: dict[str, Any]
    """metric, halving and folds."""
    seeds: int | None
    first_seed: int | None
    extent: Literal["quick", "full"]

    def seeds_or(self, usual: int) -> list[int]:
        """The seeds, where nothing else says how many."""
        first = self.first_seed or 0
        return list(range(first, first + (self.seeds or usual)))


def grid_plan_of(
    what: WhatOption | None,
    data: str | None,
    lists: dict[WhatOption, str | None],
    grid: Path | None,
    options: ComparisonOptions,
) -> GridPlan:
    """Plan of the comparison that the options describe."""
    from headstart.comparison.questions import question

    if what is None:
        raise typer.BadParameter(f"one of {', '.join(WhatOption)} is missing", param_hint="WHAT")
    odd = [f"--{kind.replace('_', '-')}" for kind, value in lists.items() if value is not None and kind != what]
    odd += ["--grid"] if grid is not None and what != WhatOption.grid else []
    if odd:
        raise typer.BadParameter(f"{', '.join(odd)} does not go with {what.value}", param_hint="WHAT")
    if what == WhatOption.grid:
        if grid is None:
            raise typer.BadParameter("the YAML of what varies is missing", param_hint="--grid")
        return _grid_plan(grid, data, options)
    if data is None:
        raise typer.BadParameter("DATA is missing", param_hint="DATA")
    values = [name.strip() for name in (lists[what] or "").split(",") if name.strip()]
    once = options.extent == "quick" or "folds" in options.shared
    seeds = options.seeds_or(1 if once else DEFAULT_SEEDS)
    kind: Any = what.value
    return question(
        kind, data, values, data=options.data, base=options.base, seeds=seeds, extent=options.extent, **options.shared
    )


def _grid_plan(grid: Path, data: str | None, options: ComparisonOptions) -> GridPlan:
    """Plan of a grid: options of the command line override its file, and the file overrides those of --quick."""
    from headstart.comparison.grid import GridPlan
    from headstart.comparison.questions import QUICK_BASE, QUICK_DATA

    quick = options.extent == "quick"
    seeds = options.seeds_or(1) if options.seeds or quick else None
    plan = GridPlan.read(
        grid,
        data={**options.data, **_said(source=data)} or None,
        base=options.base or None,
        usual_data=QUICK_DATA if quick else None,
        usual_base=QUICK_BASE if quick else None,
        seeds=seeds,
        **options.shared,
    )
    if seeds is None and options.first_seed is not None:
        plan = plan.model_copy(update={"seeds": tuple(options.seeds_or(len(plan.seeds)))})
    return plan


def _said(**options: Any) -> dict[str, Any]:  # noqa: ANN401 - values of any option
    """Those that have a value, as plain text."""
    said = {name: value for name, value in options.items() if value is not None}
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in said.items()}
