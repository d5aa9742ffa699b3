"""The Python door to plans: what to do with images, and the plan of a training without the training."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from headstart.apps.library.training import PathLike, checked, request_of, with_options
from headstart.apps.library.watching import Watch, watching
from headstart.knowledge.choosing import Level
from headstart.plan.plan import DataPlan, Domain, Plan
from headstart.workflow.keywords import TrainKeywords
from headstart.workflow.plans import TrainOptions

if TYPE_CHECKING:
    from typing import Unpack

    from headstart.advice.result import Advice


@with_options
@checked
def make_plan(
    data: PathLike | DataPlan | TrainOptions, *, progress: Watch = "auto", **options: Unpack[TrainKeywords]
) -> Plan:
    """The plan that `fit` would begin with; nothing is trained: `headstart.make_plan("photos", strategy="partial")`.

    Args:
        data: DATA: a folder, tar or table; or options as one object.
        progress: As in `fit`, while the images are counted.
        options: Those of `fit`.

    Raises:
        ArgumentError: no such argument, or arguments that do not go together; a TypeError and ValueError too.
        HeadstartError: whatever `fit` would refuse before it trains.
    """
    from headstart.workflow.planning import plan_of

    request = request_of(data, None, options)
    assert isinstance(request, TrainOptions), "without a plan there are options"
    with watching(progress) as (shown, _):
        return plan_of(request, progress=shown)


@checked
def recommend(
    data: PathLike | DataPlan | None = None,
    *,
    images: int | None = None,
    classes: int | None = None,
    domain: Domain | Literal["auto"] | None = None,
    similarity: float | Level | None = None,
    unlabelled: int = 0,
    channels: int | None = None,
    resolution: int | None = None,
    budget_seconds: float | None = None,
    cores: int | None = None,
    gpu: Literal["auto", "none", "one"] = "auto",
    model: str | None = None,
    group: str | None = None,
    progress: Watch = "auto",
) -> Advice:
    """What to do with a set of images, and why; with numbers alone it answers without torch.

    Args:
        data: DATA, whose images are counted and looked at; or give `images`.
        images: Labelled images to learn from.
        classes: Counted in DATA if None.
        domain: Kind of images, or auto (from pixels of DATA). None is auto with DATA, else photo.
        similarity: To ImageNet's photos: low, medium, high or 0..1. None measures it in DATA; without DATA or torch it
            is what the domain says.
        unlabelled: Further images of the same kind without labels.
        channels: 1 is grey, more than 3 are bands; read from DATA if None, else 3.
        resolution: Median of the shorter sides in pixels; read from DATA if None.
        budget_seconds: Wall clock; infinite: unlimited.
        cores: Of the machine that will train; this one's if None.
        gpu: none, one, or auto: whether this machine has one.
        model: Decided here if None.
        group: Pattern whose group 1 names what belongs together in DATA.
        progress: As in `fit`, while the images of DATA are looked at.

    Raises:
        HeadstartError: see its subclasses; with everything that is wrong with the numbers at once.
    """
    from headstart.workflow import advising

    with watching(progress) as (shown, _):
        return advising.recommend(
            os.fspath(data) if isinstance(data, os.PathLike) else data,
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
