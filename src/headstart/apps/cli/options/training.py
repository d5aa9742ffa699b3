"""The options of training at the command line, derived from `headstart.plan.request.Request` and its `DataPlan`.

A command that takes them all is decorated with `takes_request`, and gets them as keyword arguments. Commands that take
a few of them use the annotations here; help, spellings and words are those of the fields all the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from headstart.apps.cli.options.parsing import parse_seconds
from headstart.input_spec import Resize
from headstart.knowledge.domain import AugmentationName, Domain
from headstart.plan.option import Option, options_of
from headstart.plan.request import OPTIONS, Request
from headstart.plan.sections import DataPlan

TrainingCommand = TypeVar("TrainingCommand", bound=Callable[..., None])

OF_DATA: Mapping[str, Option] = options_of(DataPlan)
_FIELDS: Mapping[str, Option] = {name: o for name, o in {**OPTIONS, **OF_DATA}.items() if o.kind != "library only"}

SWITCHES = tuple(name for name, option in _FIELDS.items() if option.switch)

DATA_HELP = "Folder of class folders, of train/val/test folders of class folders, a .tar of either, or `digits`."


def spellings_of(field: str) -> tuple[str, ...]:
    """At the command line, ours first."""
    return _FIELDS[field].spellings or (f"--{field.replace('_', '-')}",)


def parameter_of(field: str) -> str:
    """Name of the parameter of a command that holds what was given for a field: that of our spelling."""
    return spellings_of(field)[0].removeprefix("--").replace("-", "_")


def help_of(field: str) -> str:
    """What the command line says of a field, and how else it may be spelled."""
    ours, *others = spellings_of(field)
    return _FIELDS[field].help + (f" Ours is {ours}; {', '.join(others)} mean the same." if others else "")


def _info(field: str) -> Any:  # noqa: ANN401 - typer's own class
    return typer.Option(*spellings_of(field), help=help_of(field))


Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
OptionalData = Annotated[str | None, typer.Argument(metavar="DATA", help=DATA_HELP)]
Model = Annotated[str | None, _info("model")]
AllowNoncommercial = Annotated[bool, _info("noncommercial_weights")]
DomainOption = Annotated[Domain | None, _info("domain")]
Val = Annotated[str | None, _info("val")]
Group = Annotated[str | None, _info("group")]
AugmentationOption = Annotated[AugmentationName | None, _info("augmentation")]
InputSize = Annotated[int | None, _info("input_size")]
ResizeOption = Annotated[Resize | None, _info("resize")]
Bits = Annotated[int | None, _info("bits")]
Seed = Annotated[int, _info("seed")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout; progress stays on stderr.")]


def takes_request(command: TrainingCommand) -> TrainingCommand:
    """The command with every option of training in place of its `**options`; `request_of` reads what was given."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    hints = {**get_type_hints(Request), **get_type_hints(DataPlan)}
    defaults = {name: getattr(Request, name) for name in OPTIONS if name not in ("strategy", *SWITCHES)}
    derived = []
    for field, option in _FIELDS.items():
        annotation: Any = bool if option.switch else str | None if option.kind == "duration" else hints[field] | None
        derived.append(
            inspect.Parameter(
                parameter_of(field),
                inspect.Parameter.KEYWORD_ONLY,
                default=False if option.switch else defaults.get(field),
                annotation=Annotated[annotation, _info(field)],
            )
        )
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + derived
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    return command


def request_of(source: str, given: Mapping[str, Any]) -> Request:
    """The request of a command.

    Args:
        source: DATA.
        given: Parameters of the command, by name; None and False: not given.

    Raises:
        PlanError: with every fault of the options.
        HeadstartError: `--budget` is no duration.
    """
    found: dict[str, Any] = {}
    for field, option in _FIELDS.items():
        value = given.get(parameter_of(field))
        if value is None or value is False:
            continue
        found[field] = option.switch or (parse_seconds(value) if option.kind == "duration" else value)
    data = DataPlan.from_options(source=source, **{name: found.pop(name) for name in OF_DATA if name in found})
    return Request(data, **found)
