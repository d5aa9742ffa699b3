"""The command `headstart check`: what is in DATA, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.amounts import count_text
from headstart.apps.cli.options import data_and_json
from headstart.apps.cli.options import training as of
from headstart.apps.cli.options.parsing import refuse_others
from headstart.apps.cli.text.printing import NAME_WIDTH, next_line, show_record, view_text, visible_name, wrapped
from headstart.arguments import ArgumentError
from headstart.findings import Checks

if TYPE_CHECKING:
    from headstart.data.checks.check_result import CheckResult, FeatureNote
    from headstart.html.pictures import ShownImages


def check(
    context: typer.Context,
    data: data_and_json.Data,
    as_json: data_and_json.Json = False,
    val: Annotated[
        str | None, typer.Option("--val", help="Folder of class folders that is the test set.", rich_help_panel="Data")
    ] = None,
    group: of.Group = None,
    checks: Annotated[
        Checks,
        typer.Option(
            "--checks",
            help="all: files, pixels and features of the network; files: without features, which takes no torch.",
            rich_help_panel="Data",
        ),
    ] = "all",
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview", help="Write a PNG of images exactly as the network sees them.", rich_help_panel="Data"
        ),
    ] = None,
    near_duplicates: Annotated[
        Path | None,
        typer.Option(
            "--near-duplicates",
            help="Write a .csv of image, label and group; near-identical images share one.",
            rich_help_panel="Data",
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--page", help="Write the findings as one HTML page, which loads nothing.", rich_help_panel="Data"
        ),
    ] = None,
    with_images: Annotated[
        bool,
        typer.Option(
            "--with-images",
            help="Put small copies of the images behind findings into the page.",
            rich_help_panel="Data",
        ),
    ] = False,
    fix: Annotated[
        Path | None,
        typer.Option(
            "--fix",
            help="Write a cleaned index into this folder: without broken images and copies; originals stay untouched.",
            rich_help_panel="Data",
        ),
    ] = None,
    model: of.Model = None,
    domain: of.DomainOption = None,
    augmentation: of.AugmentationOption = None,
    input_size: of.InputSize = None,
    resize: of.ResizeOption = None,
    bits: of.Bits = None,
    bands: of.BandsOption = None,
    window: of.WindowOption = None,
    contrast: of.ContrastOption = None,
    links: of.LinksOption = "inside",
    seed: of.Seed = 0,
) -> None:
    """Check images before training, and name what is suspicious."""
    from headstart.apps.cli.text import console
    from headstart.plan.plan import DataPlan
    from headstart.plan.request import Request
    from headstart.workflow.checking.check import CheckOptions
    from headstart.workflow.checking.check import check as check_images
    from headstart.workflow.checking.preview import refuse_preview, write_preview

    if preview is None:
        allowed = {"data", "as_json", "val", "group", "checks", "near_duplicates", "model", "input_size", "resize"}
        allowed |= {"bits", "bands", "window", "contrast", "links", "page", "with_images", "fix"}
        refuse_others(context, allowed, when="without --preview", why="it decides about augmented views")
    else:
        refuse_preview(data, preview)
    seen: dict[str, Any] = {"model": model, "input_size": input_size, "resize": resize}
    shared = {"--model": model, "--input-size": input_size, "--resize": resize, "--bits": bits}
    shared |= {"--bands": bands, "--window": window, "--contrast": contrast}
    shared |= {"--links": None if links == "inside" else links}
    decoding = {"bits": bits, "bands": bands, "window": window, "contrast": contrast}
    part = DataPlan.from_options(source=data, links=links, **decoding)
    checked = CheckOptions(
        source=data,
        val=val,
        group=group,
        checks=checks,
        decoding=part.decoding,
        links=links,
        group_table=near_duplicates,
        fix=fix,
        page=page,
        page_images=_page_images(page, with_images=with_images),
        **seen,
    )
    result = check_images(checked, progress=console.progress())
    if preview is not None:
        write_preview(Request(part, domain=domain, augmentation=augmentation, seed=seed, **seen), preview)
        result = replace(result, preview=str(preview))
    table = near_duplicates if result.cleaned is None else result.cleaned.index
    if table is None:
        command = train_command(data, {"--val": val, "--group": group, **shared})
    else:  # the table holds the splits and the groups
        command = train_command(str(table), shared)
    show_record(result, as_json=as_json, text=partial(check_text, command=command))


def _page_images(page: Path | None, *, with_images: bool) -> ShownImages:
    if with_images and page is None:
        raise ArgumentError("--with-images has no effect without --page", remedy="--page findings.html writes one")
    return "shown" if with_images else "named"


def train_command(data: str, given: Mapping[str, object]) -> tuple[str, ...]:
    """Words of the training of the images that were checked.

    Args:
        data: DATA, or the table of groups that was written.
        given: Option -> what was given for it; None: nothing.
    """
    options = (word for name, value in given.items() if value is not None for word in (name, str(value)))
    return ("train", data, *options)


def check_text(result: CheckResult, *, command: Sequence[str]) -> str:
    """Counts, sizes and findings of `headstart check`, and the command that comes next.

    Args:
        result: The result.
        command: Words of the next command; left out where training would refuse: no readable image, or an error.
    """
    from headstart.data.sources.dataset import WHOLE

    splits = {name: counts for name, counts in result.splits.items() if name != WHOLE}
    head = f"{result.images} readable images, {len(result.classes)} classes"
    lines = [head + (f", splits {', '.join(splits)}" if splits else "")]
    names = {name: visible_name(name, width=NAME_WIDTH) for name in result.classes}
    width = max(map(len, names.values()), default=0)
    for name, count in result.classes.items():
        by_split = ", ".join(f"{split} {counts.get(name, 0)}" for split, counts in splits.items())
        lines.append(f"  {names[name]:<{width}} {count:>6}" + (f"  ({by_split})" if by_split else ""))
    pixels = result.pixels
    if pixels.width:
        lines.append(
            "pixels (min, median, max): width {}, {}, {}; height {}, {}, {}".format(*pixels.width, *pixels.height)
        )
    lines.append(view_text(result.view))
    if result.groups is not None:
        alone = count_text(result.groups.unmatched, "image")
        lines.append(f"groups: {result.groups.groups} ({alone} without a group)")
    if result.features is not None:
        lines += feature_lines(result.features, result.images)
    if result.domain is not None:
        lines.append(wrapped(f"domain {result.domain.name}: keep together {result.domain.group_hint}", rest="    "))
    for finding in result.findings:
        lines.append(f"{finding.level}: {visible_name(finding.evidence)}\n    -> {visible_name(finding.remedy)}")
    if not result.findings:
        lines.append("nothing suspicious was found")
    lines += file_lines(result)
    if result.images and (result.cleaned or all(finding.level != "error" for finding in result.findings)):
        lines.append(next_line(*command))
    return "\n".join(lines)


def file_lines(result: CheckResult) -> list[str]:
    """What was written besides the text.

    Args:
        result: Of the check.
    """
    named = {"table of groups": result.group_table, "page of findings": result.page, "preview": result.preview}
    lines = [f"{what}: {path}" for what, path in named.items() if path is not None]
    if (cleaned := result.cleaned) is not None:
        lines.append(
            f"cleaned index: {cleaned.index} ({count_text(cleaned.images, 'image')}; left out {cleaned.left_out:,}, "
            f"joined {cleaned.joined:,}, for review {cleaned.review:,}: {cleaned.changes})"
        )
    return lines


def feature_lines(features: FeatureNote, images: int) -> list[str]:
    """How many of the images were compared by their features, where that is not all of them.

    Args:
        features: The number, or the reason why there are none.
        images: Number of readable images.
    """
    if features.note is not None:
        return [features.note]
    return [f"features were compared of {features.images:,} images"] if features.images < images else []
