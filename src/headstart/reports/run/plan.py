"""Section on the plan: every value that was decided by rule, with its reason, and the whole plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from headstart.html import wording
from headstart.html.kit import PageSection, command, fold, paragraph
from headstart.html.markup import Html, joined, tag
from headstart.runs.record import RunRecord

_MOST_PARTS = 6
_ABSENT = object()


def decisions_section(run: RunRecord) -> PageSection | None:
    """Section with the values of the plan and their reasons."""
    whole = run.plan.model_dump(mode="json", exclude={"reasons"})
    items = _items(whole, run.plan.reasons)
    text = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=100)
    intro = (
        "These values were decided by rule, each for the reason next to it. All others were given, or are the same in "
        "every run."
        if items
        else "Every value of the plan was given; nothing was decided by rule."
    )
    parts = [paragraph(intro)]
    if items:
        parts.append(tag("ul", *items, class_="decisions"))
    parts.append(fold("The resolved plan", command(text, says="The plan as YAML")))
    return PageSection("decisions", "Plan and reasons", joined(parts))


def _items(plan: Mapping[str, Any], reasons: Mapping[str, str]) -> list[Html]:
    """Items of the list, one a decision; the same value for the same reason in several places is one item."""
    places: dict[tuple[str, str, str], list[str]] = {}
    for path, reason in reasons.items():
        parent, _, name = path.rpartition(".")
        places.setdefault((name, value_text_at(plan, path), reason), []).append(parent)
    items = []
    for (name, value, reason), parents in places.items():
        path = f"{', '.join(parents)}.{name}" if parents != [""] else name
        items.append(tag("li", tag("span", tag("code", path), tag("b", value)), tag("span", reason)))
    return items


def value_text_at(plan: Mapping[str, Any], path: str) -> str:
    """The value at a path such as `phases[1].schedule`, in few words; a dash if the plan has no such path."""
    here: Any = plan
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        if name:
            here = here.get(name, _ABSENT) if isinstance(here, Mapping) else _ABSENT
        else:
            here = here[int(index)] if isinstance(here, list) and int(index) < len(here) else _ABSENT
    return "\u2013" if here is _ABSENT else _in_words(here)


def _in_words(value: Any) -> str:  # noqa: ANN401 - whatever a plan holds
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        name = value.get("name") or value.get("rule")
        parts = [f"{key} {_in_words(one)}" for key, one in value.items() if key not in ("name", "rule") and one != {}]
        shown = ([str(name)] if name else []) + parts
        return ", ".join(shown[:_MOST_PARTS]) + (", \u2026" if len(shown) > _MOST_PARTS else "")
    if isinstance(value, list):
        names = [str(one.get("name", one)) if isinstance(one, Mapping) else _in_words(one) for one in value]
        return wording.listed(names) if names else "none"
    return str(value)
