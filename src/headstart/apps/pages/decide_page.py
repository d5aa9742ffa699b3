"""The strategy page: from the form to a question, its advice and the HTML of it. Nothing here imports Gradio."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headstart.amounts import count_text, duration_text, usd_text
from headstart.apps.cli.options.parsing import parse_seconds
from headstart.apps.pages.fields import DOMAIN_CHOICES, Field, FieldOption, choice, number_field, slider, text
from headstart.errors import HeadstartError, PlanError
from headstart.html import kit, networks
from headstart.html.markup import Html, joined, tag
from headstart.workflow.advising import advise
from headstart.workflow.plans import missing_steps

if TYPE_CHECKING:
    from headstart.advice.result import Advice
    from headstart.plan.plan import Phase

TITLE = "What should I do with my images?"
LEAD = Html(
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
        DOMAIN_CHOICES,
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


def page(values: Mapping[str, str]) -> Html:
    """HTML of the advice for the values of the form.

    Args:
        values: Name of a field -> its text.
    """
    try:
        question = Question.from_fields(values)
        return advice_html(question, advise(**question.arguments()))
    except PlanError as error:
        return kit.failure(error.faults)
    except HeadstartError as error:
        return kit.failure([str(error)])


def advice_html(question: Question, advice: Advice) -> Html:
    """HTML of the advice."""
    return kit.stack(
        _hero(advice),
        _go_on(question, advice),
        kit.card("Why", _reasons(advice)),
        kit.card("What the plan does", _phases(advice)),
        kit.card("Why not something else", _rejected(advice)),
        *([kit.card("Further steps", _steps(advice))] if advice.steps else []),
        kit.card("What the cost assumes", _assumptions(advice)),
    )


def named(strategy: str) -> str:
    """Name of a strategy as a heading: `Probe then tune`."""
    return strategy.replace("_", " ").capitalize()


def _hero(advice: Advice) -> Html:
    size, cost = advice.plan.input.size, advice.cost
    network = advice.model + ("" if size == "auto" else f" at {size} px")
    taken = [
        ("time", f"about {duration_text(cost.seconds)}"),
        ("memory", _size(cost.memory_gb)),
        ("disk", _size(cost.disk_gb)),
        ("rented", usd_text(cost.usd)),
    ]
    name, time = named(advice.strategy), f"about {duration_text(cost.seconds)}"
    hero = tag(
        "section",
        tag("h2", "The strategy"),
        tag("p", name, class_="hs-what", data_strategy=advice.strategy),
        kit.paragraph("with ", tag("code", network)),
        kit.facts(taken),
        kit.notice("Mind", kit.bullets(advice.warnings)) if advice.warnings else None,
        kit.said(f"{name}, {time}"),
        class_="hs-card hs-hero",
        id="hs-result",
    )
    return joined([hero, tag("div", tag("span", name), tag("span", time), class_="hs-brief", aria_hidden="true")])


def _size(gigabytes: float) -> str:
    return f"{gigabytes:.1f} GB" if gigabytes >= 0.95 else f"{gigabytes * 1000:.0f} MB"


def _go_on(question: Question, advice: Advice) -> Html:
    data = question.data
    plan = advice.plan.changed(data=advice.plan.data.model_copy(update={"source": data}))
    parts = []
    if missing := missing_steps(plan.requires):
        text = f"train refuses this plan until it can do: {', '.join(missing)}"
        parts.append(kit.notice("Not yet", kit.bullets([text])))
    elif advice.command_says_all:
        parts.append(kit.text_to_copy("train-command", advice.command(data), what="command", label="Copy command"))
    from_plan = f"headstart train {shlex.quote(data)} --plan plan.yaml"
    advise_command = kit.text_to_copy("advise-command", question.command(), what="question")
    parts += [
        tag(
            "div",
            kit.copy_button("plan-yaml", what="plan.yaml"),
            tag("span", "save it, then ", tag("code", from_plan), class_="hs-soft"),
            class_="hs-row",
        ),
        kit.fold("Show plan.yaml", tag("pre", plan.to_yaml(), id="plan-yaml", tabindex="0"), remembered="plan"),
        kit.fold("The same question on the command line", advise_command, remembered="command-line"),
    ]
    return kit.card("Go on with", *parts)


def _reasons(advice: Advice) -> Html:
    """Reasons of the whole plan, and folded those of single phases."""
    whole = [reason for reason in advice.reasons if not reason.path.startswith("phases[")]
    single = [reason for reason in advice.reasons if reason.path.startswith("phases[")]
    first = kit.reasons((reason.path, reason.reason, reason.source) for reason in whole)
    if not single:
        return first
    more = kit.reasons((reason.path, reason.reason, reason.source) for reason in single)
    title = f"{count_text(len(single), 'reason')} more, of single phases"
    return joined([first, kit.fold(title, more, remembered="phase-reasons")])


def _phases(advice: Advice) -> Html:
    rows = [_phase(index, phase) for index, phase in enumerate(advice.plan.phases, start=1)]
    views = advice.plan.augmentation
    trains = any(phase.kind == "train" for phase in advice.plan.phases)
    said = (
        f"Views: {views.preset}, mirrored: {views.flip}." if trains else "The head sees one plain view of each image."
    )
    header = ("phase", "trainable", "epochs", "head lr", "schedule")
    says = "Phases of the plan, in order"
    return joined([kit.table(header, rows, says=says, numeric=(2, 3), caption="shown"), kit.paragraph(said)])


def _phase(index: int, phase: Phase) -> Sequence[str]:
    if phase.kind == "linear_probe":
        return f"{index}. {phase.name}", "the head, a linear probe on frozen features", "-", "-", "-"
    return (
        f"{index}. {phase.name}",
        _trainable(phase.unfreeze),
        str(phase.epochs),
        f"{phase.head_lr:g}",
        phase.schedule.name.replace("_", "-"),
    )


def _trainable(unfreeze: int | Literal["all", "by_cost"]) -> str:
    if unfreeze == "by_cost":
        return "the last layer groups as far as their cost allows, and the head"
    if unfreeze == "all":
        return "every layer group, and the head"
    if unfreeze == 0:
        return "the head"
    return "the last layer group, and the head" if unfreeze == 1 else f"the last {unfreeze} layer groups, and the head"


def _rejected(advice: Advice) -> Html:
    costs = advice.costs.by_strategy
    ends = [math.log(max(1.0, cost.seconds)) for cost in costs.values()]
    low, high = min(ends), max(ends)

    def row(name: str, why: str) -> tuple[str, ...]:
        seconds = costs[name].seconds
        share = 0.1 + 0.9 * (math.log(max(1.0, seconds)) - low) / (high - low) if high > low else 1.0
        bar = networks.meter(share, state="chosen" if name == advice.strategy else "plain")
        return named(name), why, joined([duration_text(seconds), bar])

    rows = [row(advice.strategy, "chosen"), *(row(name, why) for name, why in advice.rejected.items())]
    caption = "Every strategy: why not, and its estimated time here (bars: logarithmic)"
    header = ("strategy", "why not", "time")
    return kit.table(header, rows, says=caption, numeric=(2,), picked=(0,), caption="shown")


def _steps(advice: Advice) -> Html:
    return kit.reasons((f"{step.when}: {step.name.replace('_', ' ')}", step.text, step.source) for step in advice.steps)


def _assumptions(advice: Advice) -> Html:
    costs = advice.costs
    values = costs.to_dict(advice.strategy, images=advice.situation.images)
    hardware, usual = costs.machine.hardware, values["usual"]["from_scratch"]
    machine = count_text(hardware.cores, "core") + (" and a GPU" if hardware.gpu == "one" else ", no GPU")
    scratch = (
        f"{usual['labelled_images']} labelled images, {usual['time']}, {usual['usd']} of GPU time, risk "
        f"{usual['risk']}; here about {duration_text(costs.scratch.seconds)}"
    )
    rows = [("machine", machine, ""), *(("assumed", sentence, "") for sentence in values["assumptions"])]
    return kit.reasons([*rows, ("from scratch instead", scratch, "")])
