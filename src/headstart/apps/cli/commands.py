"""Commands of headstart by name: `--help` lists them all, and only the one that is called is imported."""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup

from headstart.apps.cli.help import Command
from headstart.errors import Interrupted

HELP_NAMES = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Settings of every command."""


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """Where a command is defined, and its line in the list of commands."""

    module: str
    """Under `headstart.apps.cli`; it holds a function of the command's name."""
    help: str
    """First line of the function's docstring, which is thus known without importing it."""


COMMANDS = {
    "demo": CommandEntry("train", "Train on embedded handwritten digits, in ten seconds."),
    "check": CommandEntry("check", "Check images before training, and name what is suspicious."),
    "train": CommandEntry("train", "Train a classifier and evaluate it on the test set."),
    "evaluate": CommandEntry("evaluate", "Evaluate a bundle on labelled images."),
    "predict": CommandEntry("predict", "Predict the class of new images."),
    "advise": CommandEntry("advise", "Advise on strategy, network and settings for your images."),
    "doctor": CommandEntry("diagnosis.doctor", "Find what is wrong with a run, and the likely causes."),
    "models": CommandEntry("models", "List, search or show pretrained networks."),
    "cache": CommandEntry("cache", "Show, clear or limit the activation cache."),
    "embed": CommandEntry("embed", "Compute features of images with a frozen network."),
    "compare": CommandEntry("compare", "Compare networks, strategies or learning rates."),
    "pretrain": CommandEntry("self_supervised.pretrain", "Pretrain a network on images without labels."),
    "plan": CommandEntry("plan", "Write the plan of a training without training."),
    "probe": CommandEntry("probe", "Measure how well each layer group separates your classes."),
    "report": CommandEntry("report", "Write a run or a comparison as one HTML page."),
    "runs": CommandEntry("runs", "List runs, or compare them on the images they share."),
    "shortlist": CommandEntry("shortlist", "Rank pretrained networks on your images without training."),
    "web": CommandEntry("web", "Explore strategies, transfer and networks in the browser."),
}
"""Name -> command, in the order of the help."""


class LazyCommands(Mapping[str, Any]):
    """Name -> typer's command, imported and built when it is looked up."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - typer's own class, which moved between its versions
        if name not in self._built:
            module = importlib.import_module(f"headstart.apps.cli.{COMMANDS[name].module}")
            one = typer.Typer(
                add_completion=False,
                pretty_exceptions_enable=False,
                rich_markup_mode=None,
                context_settings=HELP_NAMES,
            )
            one.command(name, cls=Command)(getattr(module, name))
            self._built[name] = typer.main.get_command(one)
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Commands(TyperGroup):
    """The commands of headstart: Ctrl-C in any of them says how to go on, where typer would end without a word."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - as typer makes it
        super().__init__(**settings)
        self.commands = LazyCommands()  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """Names, in the order of the help."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer's own classes
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401
        """Run the command.

        Raises:
            Interrupted: Ctrl-C, in a command that has nothing better to say.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            again = shlex.join(["headstart", *sys.argv[1:]])
            raise Interrupted("stopped by Ctrl-C", remedy=f"the same command starts again: {again}") from stop
