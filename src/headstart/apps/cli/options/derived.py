"""Options of a command that are derived from the annotated fields of a record, such as `Request` or `ModelQuery`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from headstart.apps.cli.options.parsing import parse_seconds
from headstart.arguments import parse_count
from headstart.plan.option import Option, options_of

Command = TypeVar("Command", bound=Callable[..., None])


class DerivedOptions:
    """Options of the command line for the fields of some records.

    Args:
        records: Classes whose fields are annotated with `Option`.
        without: Fields that are no options of this command.
        no_default: Fields for which None stands for the default, so that the record alone decides it.
    """

    def __init__(self, *records: type[Any], without: Sequence[str] = (), no_default: Sequence[str] = ()) -> None:
        self.fields: Mapping[str, Option] = {
            name: option
            for record in records
            for name, option in options_of(record).items()
            if option.kind != "library only" and name not in without
        }
        self._hints = {name: hint for record in records for name, hint in get_type_hints(record).items()}
        self._defaults = {
            name: parameter.default
            for record in records
            for name, parameter in inspect.signature(record).parameters.items()
            if name not in no_default and parameter.default is not inspect.Parameter.empty
        }

    def spellings_of(self, field: str) -> tuple[str, ...]:
        """At the command line, ours first."""
        return self.fields[field].spellings or (f"--{field.replace('_', '-')}",)

    def parameter_of(self, field: str) -> str:
        """Name of the parameter of a command that holds what was given for a field: that of our spelling."""
        return self.spellings_of(field)[0].removeprefix("--").replace("-", "_")

    def help_of(self, field: str) -> str:
        """Help of an option, and its other spellings."""
        _, *others = self.spellings_of(field)
        return self.fields[field].help + (f" Also spelled {' or '.join(others)}." if others else "")

    def info(self, field: str) -> Any:  # noqa: ANN401 - typer's own class
        """The option of a field, as typer takes it inside `Annotated`."""
        return typer.Option(
            *self.spellings_of(field), help=self.help_of(field), rich_help_panel=self.fields[field].panel
        )

    def add_to(self, command: Command) -> Command:
        """The command with every option in place of its `**options`; `values_of` reads what was given."""
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        # Keyword only: a parameter without a default may then follow one that has a default.
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        parameters += [self._parameter(field) for field in self.fields]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        # typer reads names and defaults from the signature, but types from the annotations.
        command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
        return command

    def _parameter(self, field: str) -> inspect.Parameter:
        option = self.fields[field]
        default = False if option.switch else self._defaults.get(field)
        hint: Any = bool if option.switch else str if option.kind in ("duration", "count") else self._hints[field]
        return inspect.Parameter(
            self.parameter_of(field),
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[hint if option.switch else hint | None, self.info(field)],
        )

    def values_of(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Field -> value, of the fields that were given.

        Args:
            given: Parameters of the command, by name; None and False: not given.

        Raises:
            HeadstartError: text that is no duration, or no count.
        """
        found: dict[str, Any] = {}
        for field, option in self.fields.items():
            value = given.get(self.parameter_of(field))
            if value is None or value is False:  # an option that was not given leaves the field to the record
                continue
            if option.switch:
                found[field] = option.switch
            elif option.kind == "duration":
                found[field] = parse_seconds(value)
            elif option.kind == "count":
                found[field] = parse_count(value, option=self.spellings_of(field)[0])
            else:
                found[field] = value
        return found
