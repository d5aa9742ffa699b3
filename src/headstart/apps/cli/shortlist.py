"""The command `headstart shortlist`: networks worth training on your images."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.amounts import count_text
from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.filters import NETWORK_FILTERS, query_of
from headstart.apps.cli.text.printing import channels_lines, json_text, number_cell, show_text, wrapped
from headstart.errors import Interrupted

if TYPE_CHECKING:
    from headstart.advice.shortlist.halving import ScoreDifference
    from headstart.advice.shortlist.ranking import RankedNetwork, Shortlist

_MOST_NAMED = 5
"""So many networks that tie are named."""


@NETWORK_FILTERS.add_to
def shortlist(
    data: Annotated[str, typer.Argument(metavar="DATA", help="As for train; the test set is not read.")],
    models: Annotated[
        str | None,
        typer.Option("--models", help="Names with commas between them; or search with the options under Search."),
    ] = None,
    keep: Annotated[int, typer.Option("--keep", help="Length of the list.")] = 3,
    images: Annotated[
        int | None, typer.Option("--images", help="Images of the last round; default: 512, or more for many classes.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            help="What stays in one fold: group 1 of a regular expression on the image path, folder:LEVEL or "
            "column:NAME.",
            rich_help_panel="Data",
        ),
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            "--input-size", help="Side in pixels for all; default: each network's own.", rich_help_panel="Data"
        ),
    ] = None,
    bits: of.Bits = None,
    bands: of.BandsOption = None,
    window: of.WindowOption = None,
    contrast: of.ContrastOption = None,
    channels: of.UnprobedChannels = None,
    allow_noncommercial: of.AllowNoncommercial = False,
    seed: Annotated[
        int, typer.Option("--seed", help="Train with the same seed to keep the test set unseen.", rich_help_panel="Run")
    ] = 0,
    as_json: data_and_json.Json = False,
    **options: Any,  # noqa: ANN401 - see `NETWORK_FILTERS`
) -> None:
    """Rank pretrained networks on your images without training."""
    from headstart.apps.cli.text import console
    from headstart.networks.cards.search import ModelQuery
    from headstart.plan.sections import DataPlan
    from headstart.workflow import shortlisting

    query = query_of(options)
    part = DataPlan.from_options(source=data, bits=bits, bands=bands, window=window, contrast=contrast)
    with console.training() as watcher:
        try:
            result = shortlisting.shortlist(
                data,
                models or (),
                query=None if query == ModelQuery() else query,
                keep=keep,
                images=images,
                group=group,
                input_size=input_size,
                decoding=part.decoding,
                channels=channels,
                seed=seed,
                noncommercial_weights="allow" if allow_noncommercial else "refuse",
                progress=watcher.progress,
            )
        except Interrupted as stopped:
            raise Interrupted(stopped.found, remedy="the same command computes only what is missing") from stopped
    if as_json:
        show_text(json_text(result.to_dict()))
    else:
        given = {"--group": group, "--input-size": input_size, "--seed": seed or None, "--bits": bits}
        given |= {"--bands": bands, "--window": window, "--contrast": contrast, "--channels": channels}
        words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
        show_text(shortlist_text(result, words + ["--allow-noncommercial"] * allow_noncommercial))


def shortlist_text(result: Shortlist, shared: Sequence[str] = ()) -> str:
    """Shortlist as text: the networks, then their scores, agreement, warnings, and the next commands.

    Args:
        result: What was found.
        shared: Options to train with as well.
    """
    figures = result.figures
    sizes = ", ".join(f"{each.images:,}" for each in result.rounds)
    networks = count_text(len(result.ranking), "network")
    shares = f"{len(result.models)} of {networks}: {', '.join(result.models)}"
    lines = [wrapped(f"shortlist  {shares}", rest="           ")]
    if result.first_two is not None:
        lines.append(wrapped(_of_two(result.first_two, result), rest="           "))
    lines += [
        "",
        f"{networks} on {sizes} of {figures.training_images:,} training images, "
        f"{count_text(len(result.classes), 'class')}; the test set ({figures.tested_on}) was not read",
        "",
        *_table(result),
        "",
    ]
    lines += [wrapped(f"agreement  {line}", rest="           ") for line in result.agreement]
    lines += [wrapped(f"left out   {name}: {reason}", rest="           ") for name, reason in result.skipped.items()]
    lines += [wrapped(f"warning: {warning}", rest="  ") for warning in result.warnings]
    found = "" if not figures.stored_before else f", {figures.stored_before:,} were cached"
    lines += channels_lines(figures.channels_by)
    lines += [
        f"{figures.seconds:.1f} s, {figures.computed:,} rows of features computed{found}",
        "next",
        *(f"  {shlex.join(['headstart', 'train', result.source, '--model', name, *shared])}" for name in result.models),
    ]
    return "\n".join(lines)


def _table(result: Shortlist) -> list[str]:
    width = max(len("network"), *(len(_shown(place)) for place in result.ranking))
    lines = [
        f"{'network':<{width}} {'images':>6} {'log loss':>8} {'accuracy (95 %)':>20} {'LogME':>7} {'H-score':>7} "
        f"{'kNN':>5} {'ImageNet':>8} {'params':>7} {'GMACs':>6}"
    ]
    for place in result.ranking:
        one, card = place.scores, place.candidate
        low, high = one.accuracy_interval
        lines.append(
            f"{_shown(place):<{width}} {place.images:>6,} {one.log_loss:>8.3f} "
            f"{f'{one.accuracy:.3f} {low:.3f}..{high:.3f}':>20} {one.log_me:>7.3f} {one.h_score:>7.3f} "
            f"{one.knn_accuracy:>5.3f} {number_cell(card.imagenet_top1, 8, 1)} {card.parameters / 1e6:>6.1f}M "
            f"{number_cell(card.gmacs, 6, 2)}"
        )
    lines.append(
        "log loss and accuracy: ridge probe, out of fold; a network with fewer images left before the last round"
    )
    return lines


def _shown(place: RankedNetwork) -> str:
    """The name, of the user's own file without its folders."""
    name, own, file = place.candidate.name.partition(":file:")
    return f"{name}{own}{Path(file).name}" if own else name


def _of_two(two: ScoreDifference, result: Shortlist) -> str:
    low, high = two.log_loss_interval
    worse, better = two.accuracy_interval
    figures = (
        f"first less second: log loss lower by {two.log_loss:.3f} ({low:.3f}..{high:.3f}), accuracy higher by "
        f"{two.accuracy:.3f} ({worse:.3f}..{better:.3f})"
    )
    if not two.is_tie:
        return f"first      {figures}"
    tied = ", ".join(result.tied[:_MOST_NAMED]) + (", ..." if len(result.tied) > _MOST_NAMED else "")
    return f"tie        {figures}; {tied} cannot be told apart here, and {result.cheapest_tied} costs the least"
