"""Help texts in groups: what most people use, then data, training, search and run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from typer.core import TyperCommand

FEW = 10
"""A command with no more options than this shows them in one list."""

PANELS: Mapping[str, tuple[str, ...]] = {
    "Usual": (
        *("strategy", "model", "models", "strategies", "epochs", "budget", "domain", "images"),
        *("similarity", "layer", "views", "precision", "keep", "out", "top", "quick", "seeds", "as_json"),
    ),
    "Data": (
        *("val", "group", "split", "seen", "limit_train", "limit_test", "bits", "strict", "input_size"),
        *("resize", "classes", "channels", "unlabelled", "resolution", "near_duplicates", "preview", "data"),
    ),
    "Training": (
        *("unfreeze", "lr", "head_lr", "learning_rates", "lr_rule", "grain", "find_lr", "head", "head_solver"),
        *("augmentation", "batch_size", "optimizer", "weight_decay", "patience", "allow_noncommercial"),
    ),
    "Search": (
        *("contains", "family", "library", "max_params", "max_gmacs", "max_input", "min_top1", "min_speed", "sizes"),
        *("commercial", "pareto", "sort", "measure", "limit"),
    ),
    "Run": (
        *("plan", "resume", "track", "seed", "workers", "device", "cores", "gpu", "grid", "metric", "halving"),
        *("explain", "run", "chart", "patches", "help"),
    ),
}
"""Heading -> parameters; an option stands under the same heading in every command."""

_PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}


def version() -> str:
    """The installed version, such as `0.1.0`."""
    return metadata.version("headstart")


class Command(TyperCommand):
    """A command whose help shows its options in groups, as plain text of any width."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """`RUN [DATA]`: an argument that may be left out stands in brackets, where typer adds marks of its own."""
        arguments = [one for one in self.get_params(ctx) if one.param_type_name == "argument"]
        return ["[OPTIONS]", *map(_argument_usage, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer's own classes, which moved
        """Write arguments, then options by panel; of a command with few options in one list."""
        arguments: list[tuple[str, str]] = []
        options: dict[str, list[tuple[str, str]]] = {panel: [] for panel in PANELS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                arguments.append(record)
            else:
                options[_PANEL_OF.get(str(parameter.name), "Run")].append(record)
        if sum(map(len, options.values())) <= FEW:
            options = {"Options": [record for panel in options.values() for record in panel]}
        for panel, records in {"Arguments": arguments, **options}.items():
            if records:
                with formatter.section(panel):
                    formatter.write_dl(records)


def _argument_usage(argument: Any) -> str:  # noqa: ANN401 - typer's own class
    name = f"{argument.metavar or argument.human_readable_name}{'...' if argument.nargs == -1 else ''}"
    return name if argument.required else f"[{name}]"
