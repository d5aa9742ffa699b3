"""The options of training, declared once: `train` and `plan` take the same, `check` some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from headstart.apps.cli.options.parsing import parse_seconds
from headstart.apps.cli.options.words import (
    Augmentation,
    DomainName,
    Grain,
    Head,
    HeadSolver,
    LrRule,
    Resize,
    Strategy,
)

DATA_HELP = "Folder of class folders, of train/val/test folders of class folders, a .tar of either, or `digits`."

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
OptionalData = Annotated[str | None, typer.Argument(metavar="[DATA]", help=DATA_HELP)]
StrategyOption = Annotated[
    Strategy | None, typer.Option("--strategy", help="Default: probe_then_tune; auto takes the advice.")
]
Model = Annotated[str | None, typer.Option("--model", help="ARCH, ARCH:TAG or ARCH:file:PATH; see `headstart models`.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Of every trained phase.")]
Unfreeze = Annotated[
    int | None, typer.Option("--unfreeze", help="Layer groups that learn beside the head, from the last; see --grain.")
]
LrRuleOption = Annotated[LrRule | None, typer.Option("--lr-rule", help="How groups share the learning rate.")]
GrainOption = Annotated[Grain | None, typer.Option("--grain", help="What a layer group is; default: stage.")]
FindLr = Annotated[
    bool, typer.Option("--find-lr", help="Search the learning rates of head and backbone before training.")
]
AllowNoncommercial = Annotated[
    bool, typer.Option("--allow-noncommercial", help="Use weights whose licence forbids commercial use.")
]
DomainOption = Annotated[DomainName | None, typer.Option("--domain", help="Kind of images; decides augmentation.")]
Val = Annotated[str | None, typer.Option("--val", help="Folder of class folders that reports.")]
Group = Annotated[
    str | None,
    typer.Option("--group", help="Regular expression on the image path; what group 1 matches stays on one side."),
]
HeadOption = Annotated[
    Head,
    typer.Option("--head", help="multi_depth (all layer groups) goes with feature_extraction, mlp with scratch too."),
]
HeadSolverOption = Annotated[
    HeadSolver,
    typer.Option("--head-solver", help="ridge: by squared error; adam trains a linear head with augmentation."),
]
AugmentationOption = Annotated[Augmentation | None, typer.Option("--augmentation", help="How far views may vary.")]
InputSize = Annotated[int | None, typer.Option("--input-size", help="Side in pixels; default: the weights' own.")]
ResizeOption = Annotated[
    Resize | None,
    typer.Option(
        "--resize", help="squash and letterbox keep the whole image; default: as the weights want, mostly crop."
    ),
]
Bits = Annotated[
    int | None, typer.Option("--bits", help="Bits that grey images of more than 8 bits use, such as 12; default: all.")
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", help="Images a step; default 32, with --lr-rule bit 128.")
]
LimitTrain = Annotated[str | None, typer.Option("--limit-train", help="Train on a seeded sample: 1000, or 100/class.")]
LimitTest = Annotated[str | None, typer.Option("--limit-test", help="Report on a seeded sample: 1000, or 100/class.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Stop if anything in DATA cannot be used, instead of leaving it out.")
]
Seed = Annotated[int, typer.Option("--seed", help="Decides splits, order, views and head.")]
Budget = Annotated[
    str | None, typer.Option("--budget", help="Wall clock, such as 90s, 10m, 2h; the best so far is kept.")
]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON on stdout; progress stays on stderr.")]

_OF_DATA = ("val", "group", "limit_train", "limit_test", "bits")
_AS_THEY_ARE = (
    "model",
    "domain",
    "input_size",
    "resize",
    "epochs",
    "unfreeze",
    "lr_rule",
    "grain",
    "augmentation",
    "head",
    "head_solver",
    "batch_size",
    "seed",
)


def said_of(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What goes into the data plan, and what into the options of training.

    Args:
        parameters: Of a command that has all options of this module but `--json`, such as `context.params`.

    Raises:
        HeadstartError: `--budget` is no duration.
    """
    source = {"source": parameters["data"], **{name: parameters[name] for name in _OF_DATA}}
    source["unreadable"] = "stop" if parameters["strict"] else "leave_out"
    chosen = {name: parameters[name] for name in _AS_THEY_ARE}
    chosen["peak_lr"] = "find" if parameters["find_lr"] else "planned"
    chosen["noncommercial_weights"] = "allow" if parameters["allow_noncommercial"] else "refuse"
    chosen["budget_seconds"] = parse_seconds(parameters["budget"])
    if parameters["strategy"] is not None:
        chosen["strategy"] = parameters["strategy"]
    return source, chosen
