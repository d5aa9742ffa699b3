"""Model cards as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.amounts import count_text
from headstart.apps.cli.text.printing import next_line, number_cell
from headstart.networks.cards.catalog import ModelCard, WeightSource

if TYPE_CHECKING:
    from headstart.input_spec import Crop, InputSpec
    from headstart.workflow.models import ListedModel, ModelDetails

SHOWN = 40
"""Rows of a list without filters."""


def cards_text(models: Sequence[ListedModel], *, limit: int | None = None) -> str:
    """Number of networks, a table with one line each, and the next command.

    Args:
        models: In the order to show; all of them timed, or none.
        limit: Rows to show; None shows all.
    """
    if not models:
        return "no model fits; loosen a limit (a card without a value passes no limit on it)"
    shown = models[:limit] if limit else models
    timed = [model.measured for model in shown if model.measured is not None]
    speed = "img/s here" if timed else "img/s CPU*"
    width = max(len(model.card.name) for model in shown)
    lines = [count_text(len(models), "network"), ""]
    lines += [f"{'model':<{width}} {'params':>8} {'GMACs':>7} {'input':>5} {'top-1':>6} {speed:>10}  licence"]
    lines += [_row(model, width) for model in shown]
    if len(shown) < len(models):
        lines.append(
            f"... and {len(models) - len(shown)} more: --limit N, or narrow the search (headstart models --help)"
        )
    if busy := sum(measured.unstable is not None for measured in timed):
        lines.append(f"unstable: {busy} not remembered, because the machine was busy; measure again when it is idle")
    if not timed:
        lines.append("* published: Intel i9-10940X, float32, one image at a time; --measure times this machine")
    lines += ["", next_line("models", shown[0].card.name) + "  (shows a network in full)"]
    return "\n".join(lines)


def _row(model: ListedModel, width: int) -> str:
    card, measured = model.card, model.measured
    speed = card.cpu_images_per_second if measured is None else measured.images_per_second
    unstable = measured is not None and measured.unstable is not None
    shown = f"{'unstable':>10}" if unstable else number_cell(speed, 10, 1)
    return (
        f"{card.name:<{width}} {card.parameters / 1e6:>7.1f}M {number_cell(card.gmacs, 7, 2)} "
        f"{card.input.size:>5} {number_cell(card.imagenet_top1, 6, 2)} {shown}  {card.licence}"
        + (" (not for commercial use)" if card.commercial_use == "forbidden" else "")
    )


def card_text(model: ModelDetails) -> str:
    """One card in full, with how to use it."""
    card = model.listed.card
    spec = card.input
    lines = [
        f"{card.name} ({card.library}, {card.family})",
        f"  parameters    {card.parameters:,}; {_or(card.gmacs, 'unknown')} GMACs; {card.features} features",
        f"  ImageNet      {_accuracy(card)}",
        f"  input         {spec.size} px, {_resize(spec)} ({spec.interpolation}); other sizes: "
        + ("any" if card.sizes == "any" else "position embeddings are resampled, where the network allows it"),
        f"  statistics    mean {spec.mean}, std {spec.std}",
        f"  layer groups  {', '.join(card.groups) or 'none: it cannot be given classes'}",
        f"  trained on    {card.domain} images, {card.num_classes or 'no'} classes",
        f"  weights       {_origin(card.weights)}",
        f"  licence       {card.licence} (commercial use: {card.commercial_use})",
        f"  paper         {card.paper or 'none stated'}",
    ]
    if fact := model.family:
        mind = f"; {fact.mind}" if fact.mind else ""
        lines.append(f"  family        {fact.name}: {fact.idea}; good for {fact.good_for}{mind}")
    lines += [f"  speed         {speed}" for speed in _speeds(model.listed)]
    if model.other_weights:
        lines.append(f"  also          {', '.join(model.other_weights)}")
    lines.append("  use")
    lines += [f"    {where:<13} {text}" for where, text in model.usage.items()]
    return "\n".join(lines)


def _or(value: object, otherwise: str) -> object:
    return otherwise if value is None else value


def _speeds(model: ListedModel) -> list[str]:
    """Measured and published images a second, those that are known."""
    card, measured = model.card, model.measured
    unstable = None if measured is None else measured.unstable
    here = None if measured is None or unstable is not None else measured.images_per_second
    known = [
        (here, "img/s on this machine (PyTorch)"),
        (card.cpu_images_per_second, "img/s published, Intel i9-10940X, float32"),
        (card.gpu_images_per_second, "img/s published, RTX 4090, mixed precision"),
    ]
    lines = [f"{value:g} {what}" for value, what in known if value is not None]
    if unstable is not None:
        least, most = unstable
        lines.insert(0, f"unstable: {least:g} to {most:g} img/s on this machine, which was busy; measure again")
    return lines


def _accuracy(card: ModelCard) -> str:
    if card.imagenet_top1 is None:
        return "no published accuracy"
    return f"top-1 {card.imagenet_top1:.2f} % at {card.imagenet_top1_size} px, as published"


def _resize(spec: InputSpec) -> str:
    texts: dict[Crop, str] = {
        "center": f"the middle, after the shorter side was brought to {spec.resize}",
        "squash": f"bent to a square of {spec.resize}",
        "border": f"whole, the longer side brought to {spec.resize}, padded to a square",
    }
    return texts[spec.crop]


def _origin(source: WeightSource) -> str:
    if source.kind == "package":
        return f"pip package {source.package}"
    if source.kind == "library":
        return f"pip package {source.package}, which downloads {source.file}"
    if source.kind == "url":
        return source.url
    return "none are published" if source.kind == "none" else f"https://huggingface.co/{source.hub}"
