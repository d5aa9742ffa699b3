"""The library verbs about images before a training: `check`, `advise`, `probe` and `embed`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from headstart.apps.library.calling import PathLike, checked, path_or_none, text_or_none
from headstart.apps.library.watching import Watch, watching
from headstart.arguments import ArgumentError
from headstart.data.sources.dataset import Links
from headstart.findings import Checks
from headstart.html.pictures import ShownImages
from headstart.input_spec import Contrast, Resize
from headstart.knowledge.domain import AugmentationName, RequestedDomain, SimilarityLevel
from headstart.plan.plan import DataPlan, NoncommercialWeights
from headstart.plan.request import Request
from headstart.plan.sections import ChannelChoice

if TYPE_CHECKING:
    from headstart.advice.result import Advice
    from headstart.data.checks.check_result import CheckResult
    from headstart.workflow.embedding import Embedding
    from headstart.workflow.probing import DepthProbe


@checked
def check(
    data: PathLike,
    *,
    val: PathLike | None = None,
    group: str | None = None,
    checks: Checks = "all",
    model: str | None = None,
    input_size: int | None = None,
    resize: Resize | None = None,
    bits: int | None = None,
    bands: str | None = None,
    window: str | None = None,
    contrast: Contrast | None = None,
    links: Links = "inside",
    near_duplicates: PathLike | None = None,
    fix: PathLike | None = None,
    page: PathLike | None = None,
    images: ShownImages = "named",
    preview: PathLike | None = None,
    domain: RequestedDomain | None = None,
    augmentation: AugmentationName | None = None,
    seed: int = 0,
    progress: Watch = "auto",
) -> CheckResult:
    """What is in DATA, and what is suspicious there: `headstart.check("photos").findings`.

    Args:
        data: DATA.
        val: A folder of class folders that is the test set, as in `train`.
        group: Pattern whose group 1 names what must stay together.
        checks: all: files, pixels, and features of the network; files leaves out the features and takes no torch.
        model: Whose input and features; the default of `train` if None.
        input_size: Side in pixels.
        resize: How an image becomes a square; as the weights need it if None.
        bits: Bits that images of more than 8 bits use; all if None.
        bands: Numbers of the bands that are read, such as `3,2,1`.
        window: Range of the grey values of DICOM files: file, full, percentiles, or CENTER,WIDTH.
        contrast: clahe equalises it by regions; file or None leaves it.
        links: Links in folders that are followed: those inside DATA, or all (follow).
        near_duplicates: A .csv to write: image, label and group; near-identical images share one.
        fix: A folder to make, with a cleaned index (index.csv), and what was changed and why (changes.csv): without
            broken images, copies, and images whose copies lie in the test set. Originals are never touched.
        page: An HTML file to write: the findings, with the images behind them.
        images: Of the page. named: file names only; shown: small copies of the images become part of the page.
        preview: A PNG to write: images exactly as they enter the network. The arguments after it are for it only.
        domain: Domain of the images; decides augmentation.
        augmentation: Augmentation preset.
        seed: Of the augmented views.
        progress: As in `train`.

    Raises:
        DataError: there is nothing to read.
        ArgumentError: an argument that has no effect without `preview`.
    """
    from headstart.workflow.checking.check import CheckOptions
    from headstart.workflow.checking.check import check as checked_images
    from headstart.workflow.checking.preview import refuse_preview, write_preview

    of_preview = {"domain": domain, "augmentation": augmentation}
    odd = [name for name, value in of_preview.items() if value is not None] + ["seed"] * (seed != 0)
    if preview is None and odd:
        raise ArgumentError(f"{', '.join(odd)} has no effect without preview", remedy="preview='sheet.png' writes one")
    source = os.fspath(data)
    decoding = {"bits": bits, "bands": bands, "window": window, "contrast": contrast}
    part = DataPlan.from_options(source=source, links=links, **decoding)
    if preview is not None:
        refuse_preview(source, Path(preview))
    with watching(progress) as (shown, _):
        found = checked_images(
            CheckOptions(
                source=source,
                val=text_or_none(val),
                group=group,
                checks=checks,
                model=model,
                input_size=input_size,
                resize=resize,
                decoding=part.decoding,
                links=links,
                group_table=path_or_none(near_duplicates),
                fix=path_or_none(fix),
                page=path_or_none(page),
                page_images=images,
            ),
            progress=shown,
        )
        if preview is not None:
            options = Request(
                part,
                model=model,
                domain=domain,
                augmentation=augmentation,
                input_size=input_size,
                resize=resize,
                seed=seed,
            )
            write_preview(options, Path(preview))
            found = replace(found, preview=os.fspath(preview))
    return found


@checked
def advise(
    data: PathLike | DataPlan | None = None,
    *,
    images: int | None = None,
    classes: int | None = None,
    domain: RequestedDomain | None = None,
    similarity: float | SimilarityLevel | None = None,
    unlabelled: int = 0,
    channels: int | None = None,
    resolution: int | None = None,
    budget_seconds: float | None = None,
    cores: int | None = None,
    gpu: Literal["auto", "none", "one"] = "auto",
    model: str | None = None,
    group: str | None = None,
    bits: int | None = None,
    bands: str | None = None,
    window: str | None = None,
    contrast: Contrast | None = None,
    progress: Watch = "auto",
) -> Advice:
    """Advice on strategy, network and settings for a set of images; needs no torch where only numbers are given.

    Args:
        data: DATA, whose images are counted and measured; or give `images`.
        images: Labelled training images.
        classes: Counted in DATA if None.
        domain: Domain of the images, or auto (from pixels of DATA). None is auto with DATA, else photo.
        similarity: To ImageNet's photos: low, medium, high or 0..1. None measures it in DATA; without DATA or torch it
            follows from the domain.
        unlabelled: Unlabelled images of the same domain.
        channels: 1 is grey, more than 3 are bands; read from DATA if None, else 3.
        resolution: Median of the shorter sides in pixels; read from DATA if None.
        budget_seconds: Time limit; infinite: unlimited.
        cores: Of the machine that will train; this one's if None.
        gpu: none, one, or auto: whether this machine has one.
        model: Network; decided here if None.
        group: Pattern whose group 1 names what belongs together in DATA.
        bits: Bits that images of more than 8 bits use; so are the next three as in `train`.
        bands: Numbers of the bands that are read.
        window: Of DICOM files.
        contrast: file or clahe.
        progress: As in `train`, while the images of DATA are read.

    Raises:
        HeadstartError: see its subclasses; with everything that is wrong with the numbers at once.
    """
    from headstart.workflow import advising

    part = os.fspath(data) if isinstance(data, os.PathLike) else data
    decoding = {"bits": bits, "bands": bands, "window": window, "contrast": contrast}
    if any(value is not None for value in decoding.values()):
        if not isinstance(part, str):
            raise ArgumentError("bits, bands, window and contrast are about DATA", remedy="give DATA as a path")
        part, group = DataPlan.from_options(source=part, group=group, **decoding), None
    with watching(progress) as (shown, _):
        return advising.advise(
            part,
            images=images,
            classes=classes,
            domain=domain,
            similarity=similarity,
            unlabelled=unlabelled,
            channels=channels,
            resolution=resolution,
            budget_seconds=budget_seconds,
            cores=cores,
            gpu=gpu,
            model=model,
            group=group,
            progress=shown,
        )


@checked
def probe(
    data: PathLike,
    *,
    model: str | None = None,
    run: PathLike | None = None,
    group: str | None = None,
    limit: str | None = None,
    seed: int | None = None,
    bits: int | None = None,
    bands: str | None = None,
    window: str | None = None,
    contrast: Contrast | None = None,
    channels: ChannelChoice | None = None,
    patches: PathLike | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Watch = "auto",
) -> DepthProbe:
    """Accuracy of a linear probe and of the nearest neighbours after every layer group.

    Args:
        data: DATA; with a run the one it was trained on. The test set is not read.
        model: ARCH, ARCH:TAG or ARCH:file:PATH; None takes the run's, else the default of `train`.
        run: A run of the same network: CKA shows how far fine-tuning has moved each group.
        group: Pattern whose group 1 names what stays in one fold; None takes the run's.
        limit: A seeded sample of these images: `100/class`, or `1000`.
        seed: Train with the same seed to keep the test set unseen. None: the run's, else 0.
        bits: Bits that images of more than 8 bits use; the next three are as in `train`, too. A run has its own.
        bands: Numbers of the bands that are read.
        window: Of DICOM files.
        contrast: file or clahe.
        channels: How 2 or 4 to 16 bands reach weights of three channels: auto or None is learned, because no probe
            compares the ways here.
        patches: A .png to be written: the patches of the images with the strongest activations in each group.
        noncommercial_weights: refuse or allow weights whose licence forbids commercial use.
        progress: As in `train`.

    Raises:
        HeadstartError: see its subclasses and `headstart.workflow.probing.probe`.
    """
    from headstart.workflow import probing

    decoding = {"bits": bits, "bands": bands, "window": window, "contrast": contrast}
    part = DataPlan.from_options(source=os.fspath(data), **decoding)
    with watching(progress) as (shown, _):
        return probing.probe(
            data,
            model=model,
            run=run,
            group=group,
            limit=limit,
            seed=seed,
            decoding=part.decoding,
            channels=channels,
            patches=patches,
            noncommercial_weights=noncommercial_weights,
            progress=shown,
        )


@checked
def embed(
    data: PathLike,
    *,
    model: str | None = None,
    layer: str = "pooled",
    views: int = 0,
    input_size: int | None = None,
    resize: Resize | None = None,
    bits: int | None = None,
    bands: str | None = None,
    window: str | None = None,
    contrast: Contrast | None = None,
    channels: ChannelChoice | None = None,
    links: Links = "inside",
    precision: Literal["float16", "float32"] = "float16",
    seed: int = 0,
    store: PathLike | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Watch = "auto",
) -> Embedding:
    """Features of all readable images of DATA as one matrix: `headstart.embed("photos").features`.

    They are kept in the activation cache; a second call only reads them.

    Args:
        data: DATA; labels are returned and not used.
        model: ARCH, ARCH:TAG or ARCH:file:PATH; None takes the default of `train`.
        layer: pooled: input of the head. A layer group: its input.
        views: Augmented views of each image, in addition to the plain one.
        input_size: Side in pixels.
        resize: How an image becomes a square; as the weights need it if None.
        bits: Bits that images of more than 8 bits use; all if None.
        bands: Numbers of the bands that are read, such as `3,2,1`.
        window: Range of the grey values of DICOM files: file, full, percentiles, or CENTER,WIDTH.
        contrast: clahe equalises it by regions; file or None leaves it.
        channels: As in `probe`; statistics of the bands are those of the images that `train` would train on.
        links: Links in folders that are followed: those inside DATA, or all (follow).
        precision: Of cached features.
        seed: Of the augmented views.
        store: Folder of the cache; None is `$HEADSTART_HOME/store`.
        noncommercial_weights: refuse or allow weights whose licence forbids commercial use.
        progress: As in `train`.

    Raises:
        HeadstartError: see its subclasses and `headstart.workflow.embedding.embed`.
    """
    from headstart.workflow import embedding

    decoding = {"bits": bits, "bands": bands, "window": window, "contrast": contrast}
    part = DataPlan.from_options(source=os.fspath(data), links=links, **decoding)
    with watching(progress) as (shown, _):
        return embedding.embed(
            data,
            model=model,
            layer=layer,
            views=views,
            input_size=input_size,
            resize=resize,
            decoding=part.decoding,
            channels=channels,
            links=links,
            precision=precision,
            seed=seed,
            store=store,
            noncommercial_weights=noncommercial_weights,
            progress=shown,
        )
