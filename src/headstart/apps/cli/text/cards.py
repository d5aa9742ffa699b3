"""Model cards as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = 40
"""Rows of a list without filters."""


def cards_text(cards: Sequence[Mapping[str, Any]], *, limit: int | None = None) -> str:
    """Table of model cards, one line each.

    Args:
        cards: In the order to show.
        limit: Rows to show; None shows all.
    """
    if not cards:
        return "no model fits; loosen a limit (a card without a value passes no limit on it)"
    shown = cards[:limit] if limit else cards
    measured = "measured_images_per_second" in cards[0]
    speed = "img/s here" if measured else "img/s CPU*"
    width = max(len(card["name"]) for card in shown)
    lines = [f"{'model':<{width}} {'params':>8} {'GMACs':>7} {'input':>5} {'top-1':>6} {speed:>10}  licence"]
    lines += [_row(card, width, measured=measured) for card in shown]
    if len(shown) < len(cards):
        lines.append(
            f"... and {len(cards) - len(shown)} more: --limit N, or narrow the search (headstart models --help)"
        )
    if measured and (busy := sum(bool(card.get("measured_unstable")) for card in shown)):
        lines.append(f"unstable: {busy} not remembered, because the machine was busy; measure again when it is idle")
    if not measured:
        lines.append("* published: Intel i9-10940X, float32, one image at a time; --measure times this machine")
    return "\n".join(lines)


def _row(card: Mapping[str, Any], width: int, *, measured: bool) -> str:
    speed = card["measured_images_per_second"] if measured else card["cpu_images_per_second"]
    shown = f"{'unstable':>10}" if measured and card.get("measured_unstable") else _number(speed, 10, 1)
    return (
        f"{card['name']:<{width}} {card['parameters'] / 1e6:>7.1f}M {_number(card['gmacs'], 7, 2)} "
        f"{card['input']['size']:>5} {_number(card['imagenet_top1'], 6, 2)} {shown}  {card['licence']}"
        + (" (not for commercial use)" if card["commercial_use"] == "forbidden" else "")
    )


def _number(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


def card_text(card: Mapping[str, Any]) -> str:
    """One card in full, with how to use it."""
    spec = card["input"]
    lines = [
        f"{card['name']} ({card['library']}, {card['family']})",
        f"  parameters    {card['parameters']:,}; {_or(card['gmacs'], 'unknown')} GMACs; {card['features']} features",
        f"  ImageNet      {_accuracy(card)}",
        f"  input         {spec['size']} px, {_resize(spec)} ({spec['interpolation']}); other sizes: "
        + ("any" if card["sizes"] == "any" else "position embeddings are resampled, where the network allows it"),
        f"  statistics    mean {tuple(spec['mean'])}, std {tuple(spec['std'])}",
        f"  layer groups  {', '.join(card['groups']) or 'none: it cannot be given classes'}",
        f"  trained on    {card['domain']} images, {card['num_classes'] or 'no'} classes",
        f"  weights       {_origin(card)}",
        f"  licence       {card['licence']} (commercial use: {card['commercial_use']})",
        f"  paper         {card['paper'] or 'none stated'}",
    ]
    if fact := card["family_fact"]:
        mind = f"; {fact['mind']}" if fact["mind"] else ""
        lines.append(f"  family        {fact['name']}: {fact['idea']}; good for {fact['good_for']}{mind}")
    speeds = [
        (card.get("measured_images_per_second"), "img/s on this machine (PyTorch)"),
        (card["cpu_images_per_second"], "img/s published, Intel i9-10940X, float32"),
        (card["gpu_images_per_second"], "img/s published, RTX 4090, mixed precision"),
    ]
    if unstable := card.get("measured_unstable"):
        speeds = speeds[1:]
        least, most = unstable
        lines.append(
            f"  speed         unstable: {least:g} to {most:g} img/s on this machine, which was busy; measure again"
        )
    lines += [f"  speed         {value:g} {what}" for value, what in speeds if value is not None]
    if card["other_weights"]:
        lines.append(f"  also          {', '.join(card['other_weights'])}")
    lines.append("  use")
    lines += [f"    {where:<13} {text}" for where, text in card["usage"].items()]
    return "\n".join(lines)


def _or(value: object, otherwise: str) -> object:
    return otherwise if value is None else value


def _accuracy(card: Mapping[str, Any]) -> str:
    if card["imagenet_top1"] is None:
        return "no published accuracy"
    return f"top-1 {card['imagenet_top1']:.2f} % at {card['imagenet_top1_size']} px, as published"


def _resize(spec: Mapping[str, Any]) -> str:
    how: dict[str, str] = {
        "center": f"the middle, after the shorter side was brought to {spec['resize']}",
        "squash": f"bent to a square of {spec['resize']}",
        "border": f"whole, the longer side brought to {spec['resize']}, padded to a square",
    }
    return how[spec["crop"]]


def _origin(card: Mapping[str, Any]) -> str:
    source = card["weights"]
    texts: dict[str, str] = {
        "package": f"pip package {source['package']}",
        "url": source["url"],
        "hub": f"https://huggingface.co/{source['hub']}",
        "none": "none are published",
    }
    return texts[source["kind"]]
