"""The Python door to what looks at many networks or variants: probe, shortlist, embed, compare."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headstart.apps.library.training import PathLike, checked
from headstart.apps.library.watching import Watch, watching
from headstart.arguments import ArgumentError, one_of
from headstart.comparison.grid import GridPlan
from headstart.networks.cards.search import ModelQuery
from headstart.plan.plan import Domain, NoncommercialWeights
from headstart.plan.request import Resize
from headstart.workflow.keywords import AugmentationName, StrategyName

if TYPE_CHECKING:
    from headstart.advice.shortlist.ranking import Shortlist
    from headstart.workflow.embedding import Embedding
    from headstart.workflow.probing import DepthProbe

What = Literal["models", "strategies", "rates", "grid"]
Names = str | Sequence[str]
"""Names as a list, or one text with commas between them."""


@checked
def probe(
    data: PathLike,
    *,
    model: str | None = None,
    run: PathLike | None = None,
    group: str | None = None,
    limit: str | None = None,
    seed: int | None = None,
    patches: PathLike | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Watch = "auto",
) -> DepthProbe:
    """How well a linear head and the nearest neighbours tell the classes after every layer group.

    Args:
        data: DATA; with a run the one it was trained on. Only images that `fit` would learn from are looked at.
        model: ARCH, ARCH:TAG or ARCH:file:PATH; None takes the run's, else the default of `fit`.
        run: A run of the same network: CKA says how far tuning has moved each group.
        group: Pattern whose group 1 names what lies in one fold and counts together; None takes the run's.
        limit: A seeded sample of these images: `100/class`, or `1000`.
        seed: Give the one to train with, and no image that reports is seen here. None: the run's, else 0.
        patches: A .png to be written: the patches of the images with the strongest activations in each group.
        noncommercial_weights: refuse or allow weights whose licence forbids commercial use.
        progress: As in `fit`.

    Raises:
        HeadstartError: see its subclasses and `headstart.workflow.probing.probe`.
    """
    from headstart.workflow import probing

    with watching(progress) as (shown, _):
        return probing.probe(
            data,
            model=model,
            run=run,
            group=group,
            limit=limit,
            seed=seed,
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
    precision: Literal["float16", "float32"] = "float16",
    seed: int = 0,
    store: PathLike | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Watch = "auto",
) -> Embedding:
    """Features of all readable images of DATA as one matrix: `headstart.embed("photos").features`.

    They come from the store where they are, and are kept there; a second call only reads them.

    Args:
        data: DATA; labels are only handed on.
        model: ARCH, ARCH:TAG or ARCH:file:PATH; None takes the default of `fit`.
        layer: pooled: what the head reads. A layer group: what enters it.
        views: Random views of each image beside the plain one.
        input_size: Side in pixels.
        resize: How an image becomes a square; the way of the weights if None.
        bits: Bits that grey images of more than 8 bits use; all if None.
        precision: In which rows are kept.
        seed: Of the views.
        store: Folder of the store; None is `$HEADSTART_HOME/store`.
        noncommercial_weights: refuse or allow weights whose licence forbids commercial use.
        progress: As in `fit`.

    Raises:
        HeadstartError: see its subclasses and `headstart.workflow.embedding.embed`.
    """
    from headstart.workflow import embedding

    with watching(progress) as (shown, _):
        return embedding.embed(
            data,
            model=model,
            layer=layer,
            views=views,
            input_size=input_size,
            resize=resize,
            bits=bits,
            precision=precision,
            seed=seed,
            store=store,
            noncommercial_weights=noncommercial_weights,
            progress=shown,
        )


@checked
def shortlist(
    data: PathLike,
    models: Names = (),
    *,
    query: ModelQuery | None = None,
    keep: int = 3,
    images: int | None = None,
    group: str | None = None,
    input_size: int | None = None,
    contains: str | None = None,
    family: str | None = None,
    library: Literal["timm", "torchvision"] | None = None,
    domain: str | None = None,
    max_params: float | str | None = None,
    max_gmacs: float | None = None,
    max_input: int | None = None,
    min_top1: float | None = None,
    min_speed: float | None = None,
    sizes: Literal["any", "fixed"] | None = None,
    commercial_use: Literal["allowed"] | None = None,
    front: Literal["all", "pareto"] = "all",
    seed: int = 0,
    store: PathLike | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Watch = "auto",
) -> Shortlist:
    """Networks worth training on DATA, best first: `headstart.shortlist("photos", ["resnet18", "resnet50"]).models`.

    Args:
        data: DATA; images that would report are not looked at.
        models: Names, or one text with commas between them; or search the catalog with what follows.
        query: A search as one object.
        keep: Length of the list.
        images: Of the last round; None: 512, or more for many classes.
        group: Regular expression on the image path; what its group 1 matches stays in one fold.
        input_size: Side in pixels for all; None takes each network's own.
        contains: Part of the name.
        family: Such as resnet, efficientnet, convnext.
        library: Where the network comes from.
        domain: What the weights were trained on.
        max_params: Parameters at most: 10e6 or "10M".
        max_gmacs: Billions of multiply-accumulates at most.
        max_input: Side of the input in pixels at most.
        min_top1: ImageNet accuracy in percent at least.
        min_speed: CPU images a second at least, as published.
        sizes: any: takes images of any size.
        commercial_use: allowed: only licences that plainly allow it.
        front: pareto keeps what no other beats in accuracy and parameters at once.
        seed: Give `fit` the same, and no image that reports was seen here.
        store: Folder of the store; None is `$HEADSTART_HOME/store`.
        noncommercial_weights: refuse skips weights whose licence forbids commercial use.
        progress: As in `fit`.

    Raises:
        ArgumentError: a query and words of one.
        HeadstartError: see its subclasses; Interrupted after Ctrl-C, with all features kept.
    """
    from headstart.apps.cli.options.parsing import parse_count
    from headstart.workflow import shortlisting

    asked = ModelQuery(
        max_parameters=parse_count(max_params, option="max_params") if isinstance(max_params, str) else max_params,
        max_gmacs=max_gmacs,
        max_input_size=max_input,
        min_top1=min_top1,
        min_speed=min_speed,
        family=family,
        library=library,
        domain=domain,
        commercial_use=commercial_use,
        sizes=sizes,
        name=contains,
        front=front,
    )
    if asked != ModelQuery():
        if query is not None:
            raise ArgumentError("query and words that search are given", remedy="give one of them")
        query = asked
    with watching(progress) as (shown, _):
        return shortlisting.shortlist(
            data,
            models,
            query=query,
            keep=keep,
            images=images,
            group=group,
            input_size=input_size,
            seed=seed,
            store=store,
            noncommercial_weights=noncommercial_weights,
            progress=shown,
        )


@checked
def compare(
    what: What | GridPlan,
    data: PathLike | None = None,
    *,
    models: Names | None = None,
    strategies: Names | None = None,
    rates: Sequence[str | float] | str | None = None,
    grid: PathLike | None = None,
    model: str | None = None,
    strategy: StrategyName | None = None,
    epochs: int | None = None,
    input_size: int | None = None,
    resize: Resize | None = None,
    bits: int | None = None,
    domain: Domain | None = None,
    augmentation: AugmentationName | None = None,
    val: PathLike | None = None,
    group: str | None = None,
    limit_train: str | None = None,
    limit_test: str | None = None,
    seeds: int | None = None,
    seed: int | None = None,
    metric: Literal["accuracy", "balanced_accuracy", "log_loss"] | None = None,
    halving: Literal["none", "successive"] | None = None,
    extent: Literal["full", "quick"] = "full",
    noncommercial_weights: NoncommercialWeights | None = None,
    out: PathLike | None = None,
    progress: Literal["auto", "none"] = "auto",
) -> dict[str, Any]:
    """Train several variants side by side: `headstart.compare("strategies", "photos", seeds=3)["answer"]`.

    Args:
        what: models, strategies, rates or grid; or a whole `GridPlan`, and then nothing else but `out` and `progress`.
        data: DATA; of a grid it overrides the file's.
        models: What is compared; the usual ones if None.
        strategies: What is compared.
        rates: What is compared: learning rates of the whole network.
        grid: YAML of what varies.
        model: Of all trials, as what follows.
        strategy: Default: feature_extraction for models, full for rates.
        epochs: Of every trained phase.
        input_size: Side in pixels.
        resize: How an image becomes a square.
        bits: Of deep grey images.
        domain: Kind of images.
        augmentation: How far views may vary.
        val: Folder of class folders that reports.
        group: As in `fit`.
        limit_train: Train on a seeded sample: 1000, or 100/class.
        limit_test: Report on a seeded sample.
        seeds: How many; 3 if None.
        seed: The first of them; 0 if None.
        metric: By which figure; accuracy if None.
        halving: successive: a quarter of the images first, then only the better half.
        extent: quick: one seed, 30 training images a class, 96 px, 6 epochs.
        noncommercial_weights: allow uses weights whose licence forbids commercial use.
        out: Folder; a new one under comparisons/ if None.
        progress: As in `fit`.

    Raises:
        ArgumentError: arguments that do not go together.
        HeadstartError: see its subclasses; Interrupted after Ctrl-C or SIGTERM, with everything saved.
    """
    lists = {"models": models, "strategies": strategies, "rates": rates}
    part = _given(val=None if val is None else os.fspath(val), group=group)
    part |= _given(limit_train=limit_train, limit_test=limit_test, bits=bits)
    base = _given(model=model, strategy=strategy, epochs=epochs, input_size=input_size, domain=domain)
    base |= _given(augmentation=augmentation, resize=resize, noncommercial_weights=noncommercial_weights)
    shared = _given(metric=metric, halving=halving)
    if isinstance(what, GridPlan):
        given = _given(data=data, grid=grid, seeds=seeds, seed=seed, **lists) | part | base | shared
        if given or extent != "full":
            odd = ", ".join(given) or "extent"
            raise ArgumentError(f"{odd} has no effect beside a GridPlan", remedy="change the plan")
        return _compared(what, out, progress)
    plan = _grid_of(what, data, lists, grid, (part, base, shared, seeds, seed, extent))
    return _compared(plan, out, progress)


def _grid_of(
    what: What, data: PathLike | None, lists: Mapping[str, Any], grid: PathLike | None, asked: tuple[Any, ...]
) -> GridPlan:
    """The comparison that the arguments ask for.

    Raises:
        ArgumentError: a list of another question, or something is missing.
    """
    from headstart.apps.cli.compare import Asked, plan_of
    from headstart.apps.cli.compare import What as Word

    odd = [name for name, value in lists.items() if value is not None and name != what]
    odd += ["grid"] if grid is not None and what != "grid" else []
    if odd:
        raise ArgumentError(f"{', '.join(odd)} does not go with {what!r}", remedy="leave it out")
    if (what == "grid" and grid is None) or (what != "grid" and data is None):
        raise ArgumentError(f"{'grid' if what == 'grid' else 'data'} is missing", expected=f"what {what!r} needs")
    texts = {Word(name): _joined(value) for name, value in lists.items()}
    source = None if data is None else os.fspath(data)
    return plan_of(Word(what), source, texts, None if grid is None else Path(grid), Asked(*asked))


def _compared(plan: GridPlan, out: PathLike | None, progress: str) -> dict[str, Any]:
    from headstart.apps.cli.text.comparison import ComparisonConsole
    from headstart.workflow import comparing

    if one_of("progress", progress, ("auto", "none")) == "none":
        return comparing.compare(plan, out=None if out is None else Path(out))
    with ComparisonConsole() as watcher:
        return comparing.compare(plan, out=None if out is None else Path(out), watcher=watcher)


@checked
def resume_comparison(folder: PathLike, *, progress: Literal["auto", "none"] = "auto") -> dict[str, Any]:
    """Go on with a comparison that was stopped or killed; trials that have ended are not run again.

    Args:
        folder: Of the comparison.
        progress: As in `fit`.

    Raises:
        RunError: not a comparison, or another process works on it.
    """
    from headstart.apps.cli.text.comparison import ComparisonConsole
    from headstart.workflow import comparing

    if progress == "none":
        return comparing.resume_comparison(Path(folder))
    with ComparisonConsole() as watcher:
        return comparing.resume_comparison(Path(folder), watcher=watcher)


def _given(**values: Any) -> dict[str, Any]:  # noqa: ANN401
    return {name: value for name, value in values.items() if value is not None}


def _joined(names: Sequence[str | float] | str | None) -> str | None:
    if names is None or isinstance(names, str):
        return names
    return ",".join(str(name) for name in names)
