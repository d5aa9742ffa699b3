"""The page of findings: what is in DATA, and each finding with its evidence, its remedy and the images behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from headstart.amounts import count_text
from headstart.data.checks.check_result import CheckResult
from headstart.data.sources.dataset import WHOLE
from headstart.findings import Finding, Level
from headstart.html.kit import PageSection, bullets, command, facts, fold, paragraph, table
from headstart.html.markup import Html, joined, tag
from headstart.html.page import page
from headstart.html.pictures import NO_PICTURES, Pictures

MOST_GROUPS = 40
"""Groups of images of one finding that are shown or named; JSON has all of them."""
_MOST_OF_GROUP = 12
_MOST_SINGLE = 120
"""Images of a finding whose images are not in groups."""
_OPEN_GROUPS = 12
_OPEN_SINGLE = 12

_STYLES: Mapping[Level, str] = {"error": "warm", "warning": "warm", "info": "blue"}
_TITLES: Mapping[Level, str] = {"error": "Errors", "warning": "Warnings", "info": "Good to know"}
_LEADS: Mapping[Level, str] = {
    "error": "Training on these images is refused until this is mended.",
    "warning": "Accuracy and other figures may mislead as long as this stands.",
    "info": "Nothing need be done.",
}


def findings_page(result: CheckResult, pictures: Pictures = NO_PICTURES, *, next_command: str | None = None) -> str:
    """HTML of the whole page.

    Args:
        result: What `check` found.
        pictures: Source of the images behind findings.
        next_command: The training of the images; None where it would be refused.
    """
    sections = [
        *(section for level in _TITLES if (section := _level_section(result.findings, level, pictures))),
        _counts_section(result),
        _how_section(result, pictures),
    ]
    if next_command is not None:
        sections.append(PageSection("next", "Next", command(next_command)))
    title = f"Findings in {result.source.rstrip('/').rpartition('/')[2] or result.source}"
    return page(title=title, kind="check of images", top=_top(result), sections=sections)


def _top(result: CheckResult) -> Html:
    counts = Counter(finding.level for finding in result.findings)
    named = [count_text(counts[level], word) for level, word in _WORDS.items() if counts[level]]
    says = " and ".join(part for part in (", ".join(named[:-1]), named[-1] if named else "") if part)
    splits = [name for name in result.splits if name != WHOLE]
    tiles = [
        ("readable images", f"{result.images:,}"),
        ("classes", f"{len(result.classes):,}"),
        ("splits", ", ".join(splits) or "none"),
        ("unreadable", f"{len(result.unreadable):,}"),
    ]
    if result.groups is not None:
        tiles.append(("groups", f"{result.groups.groups:,}"))
    if result.features is not None:
        tiles.append(("compared by features", f"{result.features.images:,}"))
    body = joined([tag("p", says or "Nothing suspicious was found", class_="big sentence"), facts(tiles)])
    return tag("section", body, class_="hs-card result", id="result", aria_label="Result")


_WORDS: Mapping[Level, str] = {"error": "error", "warning": "warning", "info": "remark"}


def _level_section(findings: Sequence[Finding], level: Level, pictures: Pictures) -> PageSection | None:
    held = [finding for finding in findings if finding.level == level]
    if not held:
        return None
    parts = [_finding(finding, pictures) for finding in held]
    return PageSection(level, f"{_TITLES[level]} ({len(held)})", joined([paragraph(_LEADS[level]), *parts]))


def _finding(finding: Finding, pictures: Pictures) -> Html:
    """One finding: its kind, its evidence, its remedy, and its images."""
    title = tag("h3", tag("span", finding.what.replace("_", " "), class_=f"chip {_STYLES[finding.level]}"))
    remedy = paragraph(tag("strong", "What to do: "), finding.remedy)
    evidence = paragraph(finding.evidence[:1].upper() + finding.evidence[1:])
    return tag("div", title, evidence, remedy, _images(finding, pictures), class_="finding")


def _images(finding: Finding, pictures: Pictures) -> Html | None:
    """The images behind a finding: in their groups, or one after the other where each stands for itself."""
    groups = finding.images
    if not groups:
        return None
    if len(groups) == 1 or all(len(group) == 1 for group in groups):
        names = [name for group in groups for name in group]
        return _listed([_image(name, pictures) for name in names[:_MOST_SINGLE]], len(names), shown=_OPEN_SINGLE)
    items = []
    for group in groups[:MOST_GROUPS]:
        more = len(group) - _MOST_OF_GROUP
        inner = [_image(name, pictures) for name in group[:_MOST_OF_GROUP]]
        if more > 0:
            inner.append(tag("li", tag("span", f"and {more:,} more", class_="soft")))
        items.append(tag("li", tag("ul", *inner, class_="files")))
    return _listed(items, len(groups), shown=_OPEN_GROUPS, style="groups")


def _listed(items: Sequence[Html], count: int, *, shown: int, style: str = "files") -> Html:
    """The first items, the others folded away, and how many are only in the JSON."""
    parts = [tag("ul", *items[:shown], class_=style)]
    if len(items) > shown:
        parts.append(fold(f"{len(items) - shown:,} more", tag("ul", *items[shown:], class_=style)))
    if count > len(items):
        parts.append(paragraph(f"and {count - len(items):,} more, which --json lists", style="small"))
    return joined(parts)


def _image(name: str, pictures: Pictures) -> Html:
    return tag("li", pictures.of(name, name), tag("span", tag("code", name)))


def _counts_section(result: CheckResult) -> PageSection:
    """Images by class and split, and the sizes in pixels."""
    splits = [name for name in result.splits if name != WHOLE]
    header = ["class", "images", *splits]
    rows = [
        [name, f"{count:,}", *(f"{result.splits[split].get(name, 0):,}" for split in splits)]
        for name, count in result.classes.items()
    ]
    parts = [table(header, rows, says="Images by class", numeric=range(1, len(header)))] if rows else []
    if result.pixels.width:
        sides = [
            ("width", *(f"{side:,}" for side in result.pixels.width)),
            ("height", *(f"{side:,}" for side in result.pixels.height)),
        ]
        head = ["pixels", "smallest", "median", "largest"]
        parts.append(table(head, sides, says="Sides of the images in pixels", numeric=(1, 2, 3)))
    return PageSection("images", "Images", joined(parts))


def _how_section(result: CheckResult, pictures: Pictures) -> PageSection:
    """What was compared, and what was written besides the page."""
    sentences = ["Every image was read in full: file, pixels, copies by bytes and by small greyscale images."]
    if result.features is None:
        sentences.append("Features were not compared (--checks files).")
    elif result.features.note is not None:
        sentences.append(f"Features were not compared: {result.features.note}.")
    else:
        sentences.append(
            f"The features of {count_text(result.features.images, 'image')} were compared, as training computes them: "
            "labels, copies, outliers, parts that give a class away, differences between splits."
        )
    if result.domain is not None:
        sentences.append(
            f"The images look like the domain {result.domain.name}: keep together {result.domain.group_hint}."
        )
    if result.cleaned is not None:
        sentences.append(f"A cleaned index was written to {result.cleaned.index}; originals were not touched.")
    return PageSection("how", "How this was found", bullets([*sentences, *pictures.notes()], style="plain"))
