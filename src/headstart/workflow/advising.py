"""advise: images are counted and measured, rules decide; and the plan of strategy `auto`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from headstart.advice.advisor import ANY_DATA, advice_for
from headstart.advice.choices import Reason
from headstart.advice.result import Advice
from headstart.advice.situation import Situation
from headstart.data.loading import cores as own_cores
from headstart.engine.costs.memory import Measurements, recall
from headstart.engine.costs.training_cost import Gpu, Hardware
from headstart.errors import PlanError, nearest
from headstart.knowledge.domain import SimilarityLevel
from headstart.knowledge.domains import DOMAINS
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan, Domain, Plan
from headstart.plan.request import Request
from headstart.runs.progress import Progress, no_progress


def advise(
    data: str | Path | DataPlan | None = None,
    *,
    images: int | None = None,
    classes: int | None = None,
    domain: str | None = None,
    similarity: float | SimilarityLevel | None = None,
    unlabelled: int = 0,
    channels: int | None = None,
    resolution: int | None = None,
    budget_seconds: float | None = None,
    cores: int | None = None,
    gpu: Gpu | Literal["auto"] = "auto",
    model: str | None = None,
    group: str | None = None,
    progress: Progress = no_progress,
) -> Advice:
    """Advice on strategy, network and settings for a set of images; without torch where only numbers are given.

    Args:
        data: DATA, whose images are counted and measured; or give `images`.
        images: Labelled training images.
        classes: Counted in DATA if None.
        domain: photo, medical, satellite, document, industrial, or auto (from pixels of DATA). None is auto with DATA,
            else photo.
        similarity: To ImageNet's photos: low, medium, high or 0..1. None measures it in DATA; without DATA or torch it
            follows from the domain.
        unlabelled: Unlabelled images of the same domain.
        channels: 1 is grey, more than 3 are bands; read from DATA if None, else 3.
        resolution: Median of the shorter sides in pixels; read from DATA if None.
        budget_seconds: Wall clock; infinite: unlimited.
        cores: Of the machine that will train; this one's if None.
        gpu: none, one, or auto: whether this machine has one.
        model: Decided here if None.
        group: Pattern on the paths of DATA whose group 1 names what stays on one side, as in `train`.
        progress: Receives how far the reading of DATA is.

    Raises:
        HeadstartError: see its subclasses; with everything that is wrong with the numbers at once.
    """
    if (data is None) == (images is None):
        raise PlanError(["DATA and images: give one of them; DATA counts its own"], source="the question")
    hardware, known = _hardware(cores, gpu)
    given: dict[str, Any] = {"classes": classes, "channels": channels, "resolution": resolution}
    if model is not None:
        find_model(model)
    if group is not None and (data is None or isinstance(data, DataPlan)):
        raise PlanError(["group: it is searched in the paths of DATA, so give DATA as a path"], source="the question")
    if data is None:
        assert images is not None
        if domain == "auto":
            raise PlanError(["domain: auto looks at pixels, so it needs DATA"], source="the question")
        values: dict[str, Any] = {"images": images}
        part, found, warnings = ANY_DATA, None, []
        reasons = [Reason("domain", "the default; --domain says otherwise", "given")] if domain is None else []
    else:
        from headstart.workflow.advice_images import inspect_images  # with numbers alone no image library is needed

        part = data if isinstance(data, DataPlan) else DataPlan.from_options(source=str(data), group=group)
        seen = inspect_images(part, seed=0, domain=domain, similarity=similarity, progress=progress)
        values, found, reasons, warnings = seen.values, seen.domain, seen.reasons, seen.warnings
    given["similarity"] = similarity
    values |= {name: value for name, value in given.items() if value is not None}
    situation = Situation(
        domain=_domain(found or domain),
        unlabelled=unlabelled,
        budget_seconds=budget_seconds,
        hardware=hardware,
        **values,
    )
    request = Request(part, model=model)
    return advice_for(situation, request, known=known, known_reasons=reasons, warnings=warnings)


def advised(request: Request) -> Advice:
    """Advice of `train --strategy auto`: open options are decided, given ones stay.

    Raises:
        HeadstartError: as `make_plan`, and if the images cannot be found.
    """
    from headstart.workflow.advice_images import inspect_images

    seen = inspect_images(request.data, seed=request.seed, domain=request.domain)
    hardware, known = _hardware(None, "auto")
    situation = Situation(
        domain=_domain(seen.domain or request.domain),
        budget_seconds=request.budget_seconds,
        hardware=hardware,
        **seen.values,
    )
    if request.model is not None:
        find_model(request.model)
    return advice_for(situation, request, known=known, known_reasons=seen.reasons, warnings=seen.warnings)


def advised_plan(request: Request) -> Plan:
    """Plan of `train --strategy auto`."""
    return advised(request).plan


def _domain(name: str | None) -> Domain:
    """Domain of a name; photo if it was neither given nor found.

    Raises:
        PlanError: there is none of that name.
    """
    if name in (None, "auto"):
        return "photo"
    if name not in DOMAINS:
        hint = nearest(str(name), DOMAINS)
        known = f"{', '.join(DOMAINS)} or auto"
        raise PlanError([f"domain: {name!r} must be one of {known}" + (f"; {hint}" if hint else "")])
    return DOMAINS[name].name


def _hardware(cores: int | None, gpu: Gpu | Literal["auto"]) -> tuple[Hardware, Measurements | None]:
    """Hardware that will train, and the speeds that runs measured if it is this machine's."""
    here = Hardware(own_cores(), "one" if _has_gpu() else "none")
    requested = replace(
        here,
        cores=here.cores if cores is None else cores,
        gpu=here.gpu if gpu == "auto" else gpu,
    )
    return requested, recall() if requested == here else None


def _has_gpu() -> bool:
    """Whether there is a device that CUDA would use, as far as the system's files say."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return any(Path("/dev").glob("nvidia[0-9]*"))
