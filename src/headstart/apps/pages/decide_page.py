"""The strategy page: from the form to a question, its advice and the HTML of it. Nothing here imports Gradio."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from headstart.amounts import count_text, duration_text, usd_text
from headstart.apps.cli.options.parsing import parse_seconds
from headstart.apps.pages.fields import Field, FieldOption, choice, number_field, slider, text
from headstart.errors import HeadstartError, PlanError
from headstart.html import frame, networks
from headstart.workflow.advising import advise

if TYPE_CHECKING:
    from headstart.advice.result import Advice
    from headstart.plan.plan import Phase

TITLE = "What should I do with my images?"
LEAD = (
    "Describe your images. The result is a plan that <code>headstart train</code> runs as it is, with its reasons, its "
    "cost on this machine, and why not something else."
)


def _ladder(low: int, high: int) -> tuple[FieldOption, ...]:
    """Options 1, 1.5, 2, 3, 5, 7 times each power of ten: about equally spaced on a logarithmic axis."""
    values = {round(factor * 10**power) for power in range(7) for factor in (1, 1.5, 2, 3, 5, 7)}
    return tuple((str(value), f"{value:,}") for value in sorted(values) if low <= value <= high)


BUDGETS: tuple[FieldOption, ...] = (
    *(("1m", "1 minute"), ("5m", "5 minutes"), ("15m", "15 minutes"), ("30m", "30 minutes"), ("1h", "1 hour")),
    *(("2h", "2 hours"), ("4h", "4 hours"), ("8h", "8 hours"), ("24h", "1 day"), ("72h", "3 days")),
    *(("168h", "1 week"), ("", "not given"), ("unlimited", "unlimited")),
)
"""Values of `--budget`."""

FIELDS: tuple[Field, ...] = (
    slider(
        "images",
        "Labelled images",
        _ladder(10, 1_000_000),
        "500",
        entry="number",
        hint="Of training and validation set, all classes.",
    ),
    number_field("classes", "Classes", "", least=2, placeholder="unknown"),
    choice(
        "domain",
        "Domain",
        (
            ("photo", "Photos"),
            ("medical", "Medical"),
            ("satellite", "From above"),
            ("document", "Documents"),
            ("industrial", "Industrial"),
        ),
        "photo",
    ),
    choice(
        "similarity",
        "Similarity to ImageNet's photos",
        (("", "Not known"), ("low", "Low"), ("medium", "Medium"), ("high", "High")),
        "",
        hint="headstart advise DATA measures it.",
    ),
    slider(
        "unlabelled",
        "Further images without labels",
        (("0", "0"), *_ladder(1_000, 1_000_000)),
        "0",
        entry="number",
    ),
    choice("channels", "Channels", (("1", "1 grey"), ("3", "3 colour"), ("4", "4"), ("13", "13 bands")), "3"),
    number_field("resolution", "Shorter side in pixels", "", least=1, placeholder="unknown"),
    slider("budget", "Time for training", BUDGETS, "", entry="none"),
    number_field("cores", "Processor cores", "", least=1, placeholder="this machine's"),
    choice("gpu", "GPU", (("auto", "As this machine"), ("none", "None"), ("one", "One")), "auto"),
    text(
        "data", "Where the images are", "DATA", hint="Written into the plan and the commands; nothing is opened here."
    ),
)
"""In the order of the form."""


@dataclass(frozen=True, slots=True)
class Question:
    """The values of the form, as the library and the command line take them."""

    images: int
    classes: int | None
    domain: str
    similarity: str | None
    unlabelled: int
    channels: int
    resolution: int | None
    budget: str | None
    """As `--budget`: 90s, 10m, 2h, unlimited; None: not given."""
    cores: int | None
    gpu: str
    data: str

    @classmethod
    def from_fields(cls, values: Mapping[str, str]) -> Question:
        """The question of the form.

        Raises:
            PlanError: fields that hold no whole number, all of them at once.
        """
        faults: list[str] = []

        def whole(name: str, *, empty: int | None) -> Any:  # noqa: ANN401 - int where empty is one
            raw = str(values[name]).strip()
            if not raw:
                return empty
            if not raw.removeprefix("-").isdecimal():
                faults.append(f"{name}: {raw!r} is no whole number")
                return empty
            return int(raw)

        question = cls(
            images=whole("images", empty=0),
            classes=whole("classes", empty=None),
            domain=values["domain"],
            similarity=values["similarity"] or None,
            unlabelled=whole("unlabelled", empty=0),
            channels=whole("channels", empty=3),
            resolution=whole("resolution", empty=None),
            budget=values["budget"] or None,
            cores=whole("cores", empty=None),
            gpu=values["gpu"],
            data=values["data"].strip() or "DATA",
        )
        if faults:
            raise PlanError(faults, source="the form")
        return question

    def arguments(self) -> dict[str, Any]:
        """Arguments of `headstart.advise`."""
        given = ("images", "classes", "domain", "similarity", "unlabelled", "channels", "resolution", "cores", "gpu")
        return {name: getattr(self, name) for name in given} | {"budget_seconds": parse_seconds(self.budget)}

    def command(self) -> str:
        """The same question on the command line."""
        usual: dict[str, object] = {
            "similarity": None,
            "classes": None,
            "unlabelled": 0,
            "channels": 3,
            "resolution": None,
        }
        usual |= {"budget": None, "cores": None, "gpu": "auto"}
        options = [f"--images {self.images}", f"--domain {self.domain}"]
        options += [f"--{name} {getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return f"headstart advise {' '.join(options)}"


def page(values: Mapping[str, str]) -> str:
    """HTML of the advice for the values of the form.

    Args:
        values: Name of a field -> its text.
    """
    try:
        question = Question.from_fields(values)
        return advice_html(question, advise(**question.arguments()))
    except PlanError as error:
        return frame.failure(error.faults)
    except HeadstartError as error:
        return frame.failure([str(error)])


def advice_html(question: Question, advice: Advice) -> str:
    """HTML of the advice."""
    return frame.stack(
        _hero(advice),
        _go_on(question, advice),
        frame.card("Why", _reasons(advice)),
        frame.card("What the plan does", _phases(advice)),
        frame.card("Why not something else", _rejected(advice)),
        *([frame.card("Further steps", _steps(advice))] if advice.steps else []),
        frame.card("What the cost assumes", _assumptions(advice)),
    )


def named(strategy: str) -> str:
    """Name of a strategy as a heading: `Probe then tune`."""
    return strategy.replace("_", " ").capitalize()


def _hero(advice: Advice) -> str:
    size, cost = advice.plan.input.size, advice.cost
    network = advice.model + ("" if size == "auto" else f" at {size} px")
    taken = {
        "time": f"about {duration_text(cost.seconds)}",
        "memory": _size(cost.memory_gb),
        "disk": _size(cost.disk_gb),
        "rented": usd_text(cost.usd),
    }
    warnings = frame.notice("Mind", advice.warnings) if advice.warnings else ""
    return (
        '<section class="hs-card hs-hero" id="hs-result"><h2>The strategy</h2>'
        f'<p class="hs-what" data-strategy="{advice.strategy}">{escape(named(advice.strategy))}</p>'
        f"<p>with <code>{escape(network)}</code></p>{frame.facts(taken)}{warnings}"
        f"{frame.said(f'{named(advice.strategy)}, about {duration_text(cost.seconds)}')}</section>"
        f'<div class="hs-brief" aria-hidden="true"><span>{escape(named(advice.strategy))}</span>'
        f"<span>about {duration_text(cost.seconds)}</span></div>"
    )


def _size(gigabytes: float) -> str:
    return f"{gigabytes:.1f} GB" if gigabytes >= 0.95 else f"{gigabytes * 1000:.0f} MB"


def _go_on(question: Question, advice: Advice) -> str:
    data = question.data
    plan = advice.plan.changed(data=advice.plan.data.model_copy(update={"source": data}))
    parts = []
    if plan.requires:
        missing = ", ".join(plan.requires)
        parts.append(frame.notice("Not yet", [f"train refuses this plan until it can do: {missing}"]))
    elif advice.command_says_all:
        parts.append(frame.text_to_copy("train-command", advice.command(data), what="command", label="Copy command"))
    from_plan = f"headstart train {shlex.quote(data)} --plan plan.yaml"
    parts += [
        f'<div class="hs-row">{frame.copy_button("plan-yaml", what="plan.yaml")}'
        f'<span class="hs-soft">save it, then <code>{escape(from_plan)}</code></span></div>',
        frame.fold("plan", "Show plan.yaml", f'<pre id="plan-yaml" tabindex="0">{escape(plan.to_yaml())}</pre>'),
        frame.fold(
            "command-line",
            "The same question on the command line",
            frame.text_to_copy("advise-command", question.command(), what="question"),
        ),
    ]
    return frame.card("Go on with", *parts)


def _reasons(advice: Advice) -> str:
    """HTML of the reasons: those of the whole plan, and folded those of single phases."""
    whole = [reason for reason in advice.reasons if not reason.path.startswith("phases[")]
    single = [reason for reason in advice.reasons if reason.path.startswith("phases[")]
    first = frame.reasons((reason.path, reason.reason, reason.source) for reason in whole)
    if not single:
        return first
    more = frame.reasons((reason.path, reason.reason, reason.source) for reason in single)
    return first + frame.fold("phase-reasons", f"{count_text(len(single), 'reason')} more, of single phases", more)


def _phases(advice: Advice) -> str:
    rows = [_phase(index, phase) for index, phase in enumerate(advice.plan.phases, start=1)]
    views = advice.plan.augmentation
    trains = any(phase.kind == "train" for phase in advice.plan.phases)
    said = (
        f"Views: {views.preset}, mirrored: {views.flip}." if trains else "The head sees one plain view of each image."
    )
    headings = ("phase", "trainable", "epochs", "head lr", "schedule")
    return frame.table("Phases of the plan, in order", headings, rows, numeric=(2, 3)) + frame.paragraph(said)


def _phase(index: int, phase: Phase) -> Sequence[str]:
    if phase.kind == "linear_probe":
        return f"{index}. {escape(phase.name)}", "the head, a linear probe on frozen features", "-", "-", "-"
    return (
        f"{index}. {escape(phase.name)}",
        _trainable(phase.unfreeze),
        str(phase.epochs),
        f"{phase.head_lr:g}",
        phase.schedule.name.replace("_", "-"),
    )


def _trainable(unfreeze: int | Literal["all"]) -> str:
    if unfreeze == "all":
        return "every layer group, and the head"
    if unfreeze == 0:
        return "the head"
    return "the last layer group, and the head" if unfreeze == 1 else f"the last {unfreeze} layer groups, and the head"


def _rejected(advice: Advice) -> str:
    costs = advice.costs.by_strategy
    ends = [math.log(max(1.0, cost.seconds)) for cost in costs.values()]
    low, high = min(ends), max(ends)

    def row(name: str, why: str) -> tuple[str, ...]:
        seconds = costs[name].seconds
        share = 0.1 + 0.9 * (math.log(max(1.0, seconds)) - low) / (high - low) if high > low else 1.0
        bar = networks.meter(share, state="chosen" if name == advice.strategy else "plain")
        return named(name), escape(why), f"{duration_text(seconds)}{bar}"

    rows = [row(advice.strategy, "chosen"), *(row(name, why) for name, why in advice.rejected.items())]
    caption = "Every strategy: why not, and its estimated time here (bars: logarithmic)"
    return frame.table(caption, ("strategy", "why not", "time"), rows, numeric=(2,), picked=0)


def _steps(advice: Advice) -> str:
    return frame.reasons(
        (f"{step.when}: {step.name.replace('_', ' ')}", step.text, step.source) for step in advice.steps
    )


def _assumptions(advice: Advice) -> str:
    costs = advice.costs
    values = costs.to_dict(advice.strategy, images=advice.situation.images)
    hardware, usual = costs.machine.hardware, values["usual"]["from_scratch"]
    machine = count_text(hardware.cores, "core") + (" and a GPU" if hardware.gpu == "one" else ", no GPU")
    scratch = (
        f"{usual['labelled_images']} labelled images, {usual['time']}, {usual['usd']} of GPU time, risk "
        f"{usual['risk']}; here about {duration_text(costs.scratch.seconds)}"
    )
    rows = [("machine", machine, ""), *(("assumed", sentence, "") for sentence in values["assumptions"])]
    return frame.reasons([*rows, ("from scratch instead", scratch, "")])
