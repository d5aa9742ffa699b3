"""The options of training at the command line, derived from `headstart.plan.request.Request` and its `DataPlan`.

A command that takes them all is decorated with `takes_request`, and gets them as keyword arguments. Commands that take
a few of them use the annotations here; help, spellings and words are those of the fields all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from headstart.apps.cli.options.derived import DerivedOptions
from headstart.data.sources.dataset import Links
from headstart.input_spec import Contrast, Resize
from headstart.knowledge.domain import AugmentationName, RequestedDomain
from headstart.plan.option import Option, options_of
from headstart.plan.request import Request
from headstart.plan.sections import ChannelChoice, DataPlan

TrainingCommand = TypeVar("TrainingCommand", bound=Callable[..., None])

OF_DATA: Mapping[str, Option] = options_of(DataPlan)
TRAINING = DerivedOptions(Request, DataPlan, no_default=("strategy",))
"""None stands for the default strategy: `train --resume` and `--plan` refuse one that is given."""


Model = Annotated[str | None, TRAINING.info("model")]
AllowNoncommercial = Annotated[bool, TRAINING.info("noncommercial_weights")]
DomainOption = Annotated[RequestedDomain | None, TRAINING.info("domain")]
Val = Annotated[str | None, TRAINING.info("val")]
Group = Annotated[str | None, TRAINING.info("group")]
AugmentationOption = Annotated[AugmentationName | None, TRAINING.info("augmentation")]
InputSize = Annotated[int | None, TRAINING.info("input_size")]
ResizeOption = Annotated[Resize | None, TRAINING.info("resize")]
Bits = Annotated[int | None, TRAINING.info("bits")]
BandsOption = Annotated[str | None, TRAINING.info("bands")]
WindowOption = Annotated[str | None, TRAINING.info("window")]
ContrastOption = Annotated[Contrast | None, TRAINING.info("contrast")]
UnprobedChannels = Annotated[
    ChannelChoice | None,
    typer.Option(
        "--channels",
        help="How images of 2 or 4 to 16 bands reach weights of three channels; default: learned, because no probe "
        "compares the ways here.",
        rich_help_panel="Data",
    ),
]
LinksOption = Annotated[Links, TRAINING.info("links")]
Seed = Annotated[int, TRAINING.info("seed")]


def takes_request(command: TrainingCommand) -> TrainingCommand:
    """The command with every option of training in place of its `**options`; `request_of` reads what was given."""
    return TRAINING.add_to(command)


def request_of(source: str, given: Mapping[str, Any]) -> Request:
    """The request of a command.

    Args:
        source: DATA.
        given: Parameters of the command, by name; None and False: not given.

    Raises:
        PlanError: with every fault of the options.
        HeadstartError: `--budget` is no duration.
    """
    found = TRAINING.values_of(given)
    data = DataPlan.from_options(source=source, **{name: found.pop(name) for name in OF_DATA if name in found})
    return Request(data, **found)
