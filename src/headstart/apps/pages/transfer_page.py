"""The feature-transfer page: what each layer group detects, how much of it transfers, and what to do with it.

Shares are rules of thumb of teaching material, adjusted for a domain, or shown next to the measurements of `headstart
probe` on the user's own images. Nothing here imports Gradio.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from headstart.apps.pages.fields import DOMAIN_CHOICES, Field, FieldOption, choice, file, menu, menu_value
from headstart.errors import HeadstartError
from headstart.html import kit, networks
from headstart.html.markup import Html, joined, tag
from headstart.knowledge.choosing import depths_in
from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.transfer import (
    DEPTH_FACTS,
    FAMILIES,
    FIRST_CHOICES,
    HEAD_DEPTH,
    IMAGENET_EFFECT,
    DepthFact,
    FamilyFact,
    depth_of,
)
from headstart.networks.cards.catalog import ModelCard, all_cards
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import Domain
from headstart.plan.request import DEFAULT_MODEL

TITLE = "What transfers?"
LEAD = Html(
    "Early layers detect edges and colours, which every image has; late ones detect the objects they were trained on. "
    "Choose a domain and a network, or open the measurements of <code>headstart probe</code> on your images."
)

_FIRST = (DEFAULT_MODEL, *(name for name, _, _ in FIRST_CHOICES))


@cache
def networks_of(family: str) -> tuple[str, ...]:
    """Architectures of a family of `FAMILIES` whose head can be replaced, the usual ones first."""
    fact = _family(family)
    found = {card.architecture for card in all_cards() if card.family in fact.modules and card.groups}
    usual = [name for name in _FIRST if name in found]
    return (*usual, *sorted(found - set(usual)))


def _family(name: str) -> FamilyFact:
    return next(family for family in FAMILIES if family.name == name)


def network_menu(family: str, selected: str) -> dict[str, Any]:
    """The menu of networks for a family; keeps the choice where the family has it."""
    names = networks_of(family)
    options: tuple[FieldOption, ...] = tuple((name, name) for name in names)
    return menu_value(options, selected if selected in names else names[0])


FIELDS: tuple[Field, ...] = (
    choice(
        "transfer-domain",
        "Domain",
        DOMAIN_CHOICES,
        "photo",
    ),
    choice("transfer-family", "Family", tuple((fact.name, fact.name) for fact in FAMILIES), "EfficientNet"),
    menu("transfer-network", "Network", tuple((n, n) for n in networks_of("EfficientNet")), DEFAULT_MODEL),
    file(
        "transfer-probe",
        "Measured on your images",
        accept=".json,application/json",
        hint="The file that headstart probe DATA --json writes. It stays in this browser tab.",
    ),
)
"""In the order of the form."""


@dataclass(frozen=True, slots=True)
class GroupShare:
    """A layer group: its depth, what it detects, and the share that transfers."""

    group: str
    depth: DepthFact
    """Its share is the one shown."""
    measured: networks.GroupMeasurement | None = None
    cka: float | None = None
    """Similarity of its features before and after fine-tuning, 0..1, if a run was given."""

    @property
    def is_head(self) -> bool:
        """Whether this is the head, which is replaced."""
        return self.depth.name == HEAD_DEPTH.name


def group_shares(card: ModelCard, domain: Domain) -> tuple[GroupShare, ...]:
    """Shares of the layer groups of a network by the rule of thumb, stem to head.

    The table of depths is the domain's; a group takes the row of its relative depth.
    """
    backbone = card.groups[:-1]
    here = dict(zip((fact.name for fact in DEPTH_FACTS), depths_in(domain), strict=True))
    found = [GroupShare(name, here[depth_of(at, len(backbone)).name]) for at, name in enumerate(backbone)]
    return (*found, GroupShare(card.groups[-1], HEAD_DEPTH))


@dataclass(frozen=True, slots=True)
class StoredProbe:
    """The result of a probe, as `headstart probe --json` wrote it."""

    model: str
    images: int
    groups: tuple[GroupShare, ...]
    """Stem to the last group that was measured, and the head."""
    sentence: str
    """Sentence of the command about the curve."""
    majority_share: float
    """Accuracy of always predicting the largest class, 0..1."""


def read_probe(text: str) -> StoredProbe:
    """The probe in a file.

    Raises:
        HeadstartError: it is no JSON, or lacks a value, or holds one that cannot be.
    """
    expected = "the JSON of headstart probe DATA --json"
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise HeadstartError("the file is no JSON", expected=expected) from error
    try:
        rows = sorted(raw["groups"], key=lambda row: int(row["position"]))
        backbone = [row for row in rows if row["group"] != "head"]
        groups = tuple(_group(row, len(backbone)) for row in backbone)
        whole = (*groups, GroupShare("head", HEAD_DEPTH))
        majority = _share(raw["majority_share"])
        probe = StoredProbe(str(raw["model"]), int(raw["images"]), whole, str(raw["sentence"]), majority)
    except KeyError as missing:
        raise HeadstartError(f"the file has no {missing.args[0]!r}", expected=expected) from missing
    except (TypeError, ValueError) as error:
        raise HeadstartError(f"the file holds a value that cannot be ({error})", expected=expected) from error
    if not groups:
        raise HeadstartError("the file holds no groups", expected=expected)
    return probe


def _group(row: Mapping[str, Any], count: int) -> GroupShare:
    low, high = row["accuracy_interval"]
    knn, cka = row["knn_accuracy"], row["cka"]
    measured = networks.GroupMeasurement(
        _share(row["accuracy"]), (_share(low), _share(high)), None if knn is None else _share(knn)
    )
    share = _share(row["literature_share"])
    depth = depth_of(int(row["position"]), int(row.get("count", count)))
    placed = DepthFact(depth.name, depth.detects, share, depth.default_action, depth.lr)
    return GroupShare(str(row["group"]), placed, measured, None if cka is None else _share(cka))


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{value!r} must be a number in 0..1")
    return float(value)


def page(values: Mapping[str, Any]) -> tuple[Html, dict[str, Any]]:
    """(HTML for the values of the form, menu of networks of the chosen family).

    Args:
        values: Name of a field -> its text; of the menu -> its choice.
    """
    domain: Domain = values["transfer-domain"]
    menu_now = network_menu(values["transfer-family"], values["transfer-network"])
    if not values["transfer-probe"]:
        card = find_model(menu_now["choice"]).card
        return _literature(card, domain, _family(values["transfer-family"])), menu_now
    try:
        return _measured(read_probe(values["transfer-probe"]), domain), menu_now
    except HeadstartError as error:
        return kit.failure([str(error)]), menu_now


def _literature(card: ModelCard, domain: Domain, family: FamilyFact) -> Html:
    groups = group_shares(card, domain)
    note = (
        "Shares are a rule of thumb of teaching material, by relative depth; measure yours with headstart probe. "
        "Zeiler & Fergus 2014 and Yosinski et al. 2014 show the order, not these numbers."
        if domain == "photo"
        else f"Shares for {domain} images are an estimate of ours: the rule of thumb for photos to the power of "
        f"{DOMAINS[domain].transfer_exponent:g}. headstart probe measures them on your images."
    )
    if family.name == "Vision Transformer":
        note += " The rule of thumb is for convolutional networks; blocks of attention take the row of their depth."
    marks = [(networks.share_colour(share), text, "square") for share, text in _KEY]
    return kit.stack(
        kit.card(
            f"{card.architecture}: what carries over to {_KINDS[domain]}",
            networks.shares([_row(group) for group in groups]),
            networks.legend_key(marks),  # type: ignore[arg-type]  # a literal in a list
            kit.paragraph(note, style="hs-soft hs-small"),
            kit.said(f"{card.architecture}: {_spoken(groups)}"),
            kit.fold("The same as a table", _table(groups), remembered="transfer-table"),
        ),
        _domain_card(domain),
        _family_card(family, card),
        _effect_card(),
    )


_KEY = ((1.0, "carries over"), (0.7, "mostly"), (0.35, "partly"), (0.0, "is replaced"))

_KINDS: Mapping[Domain, str] = {
    "photo": "photos",
    "medical": "medical images",
    "satellite": "images from above",
    "industrial": "surfaces and parts",
    "document": "documents",
}


def _spoken(groups: Sequence[GroupShare]) -> str:
    return ", ".join(f"{group.group} {group.depth.transfer_share:.0%}" for group in groups)


def _row(group: GroupShare) -> networks.ShareRow:
    depth = group.depth
    shown = [tag("strong", f"{depth.transfer_share:.0%}")]
    if group.measured is not None:
        measured = tag("strong", f"{group.measured.accuracy:.0%}")
        shown = [_soft("rule of thumb"), *shown, _soft("measured"), measured]
    where = _soft("fully connected" if group.is_head else depth.name)
    names = tag("span", tag("strong", group.group), " ", where)
    heading = tag("div", names, tag("span", joined(shown, " ")), class_="hs-line")
    text = tag("div", depth.detects, " ", tag("span", depth.default_action, class_="hs-tag"), class_="hs-small")
    kind = "head" if group.is_head else "backbone"
    block = networks.Block(group.group, depth.transfer_share, kind)  # type: ignore[arg-type]
    return networks.ShareRow(block, heading, text, group.measured)


def _soft(text: str) -> Html:
    return tag("span", text, class_="hs-soft")


def _table(groups: Sequence[GroupShare]) -> Html:
    measured = any(group.measured is not None for group in groups)
    headings = ["group", "depth", "detects", "share that transfers", "default action", "lr when tuned"]
    rows = [
        [
            group.group,
            group.depth.name,
            group.depth.detects,
            f"{group.depth.transfer_share:.1%}",
            group.depth.default_action,
            f"{group.depth.lr:g}",
            *(_figures(group) if measured else ()),
        ]
        for group in groups
    ]
    headings += ["probe accuracy", "interval", "kNN accuracy", "CKA to the tuned network"] if measured else []
    numeric = (3, 5, 6, 7, 8, 9)
    return kit.table(headings, rows, says="Layer groups, stem to head", numeric=numeric, most=None, caption="shown")


def _figures(group: GroupShare) -> tuple[str, ...]:
    found = group.measured
    if found is None:
        return ("-", "-", "-", "-")
    low, high = found.interval
    knn = "-" if found.knn_accuracy is None else f"{found.knn_accuracy:.1%}"
    return f"{found.accuracy:.1%}", f"{low:.1%} to {high:.1%}", knn, "-" if group.cka is None else f"{group.cka:.2f}"


def _domain_card(domain: Domain) -> Html:
    fact = DOMAINS[domain]
    rows = [("gap to ImageNet", fact.gap, ""), ("usual number of images", fact.usual_images, "")]
    rows.append(("what to do", fact.advice, fact.source))
    if fact.evidence:
        rows.append(("measured", fact.evidence, ""))
    rows += [("weights of the domain", f"{one.what}: {one.how}", one.licence) for one in fact.weights]
    return kit.card(f"About {_KINDS[domain]}", kit.reasons(rows))


def _family_card(family: FamilyFact, card: ModelCard) -> Html:
    rows = [("built on", family.idea, card.paper), ("good for", family.good_for, "")]
    if family.mind:
        rows.append(("mind", family.mind, ""))
    uses = {name: use for name, _, use in FIRST_CHOICES}
    if card.architecture in uses:
        rows.append((card.architecture, f"{card.parameters / 1e6:.0f}M parameters, for: {uses[card.architecture]}", ""))
    return kit.card(f"About {family.name}", kit.reasons(rows))


def _effect_card() -> Html:
    rows = [(fact.what, f"teach {fact.teaches}", "") for fact in IMAGENET_EFFECT]
    return kit.card("Why ImageNet's weights are a head start", kit.reasons(rows))


def _measured(probe: StoredProbe, domain: Domain) -> Html:
    dot, bar = "var(--hs-dot)", networks.share_colour(0.7)
    return kit.stack(
        kit.card(
            f"{probe.model}: measured on {probe.images:,} of your images",
            networks.shares([_row(group) for group in probe.groups]),
            networks.legend_key(
                [
                    (bar, "bar: share that transfers by the rule of thumb", "square"),
                    (dot, "dot and line: accuracy of a linear probe, with its interval", "round"),
                    (dot, "diamond: accuracy of nearest neighbours", "ring"),
                ]
            ),
            kit.paragraph(
                "The two are different things on one scale: how much of a group's features other tasks can use, and "
                "how well a linear probe on them separates your classes.",
                style="hs-soft hs-small",
            ),
            kit.fold("The same as a table", _table(probe.groups), remembered="transfer-table"),
        ),
        kit.card(
            "Result",
            kit.said(probe.sentence, style=None),
            kit.paragraph(f"Always predicting the largest class has an accuracy of {probe.majority_share:.1%}."),
        ),
        _domain_card(domain),
    )
