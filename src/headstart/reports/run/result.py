"""The top of a run's report: how good it is, on what, what was kept and why, in plain words."""

from __future__ import annotations

from headstart.amounts import count_text, counted_text
from headstart.html import wording
from headstart.html.kit import command, facts, notice, paragraph
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.html.plot import Axis
from headstart.html.tracks import interval_track, track_scale
from headstart.runs.record import Epoch, RecordValues, RunFacts

_WHOLE = Axis(0.0, 1.0, tuple((share / 4, f"{25 * share} %") for share in range(5)))
_MOST_IN_TITLE = 3
_WIDE_INTERVAL = 0.1
"""Above this, more images that report would say more than more training."""


def run_answer(run: RunFacts) -> Html:
    """The answer, or how far an unfinished run is."""
    body = _judged(run, run.metrics) if run.metrics is not None else _unfinished(run)
    return tag("section", body, class_="hs-card result", id="result", aria_label="Result")


def run_title(run: RunFacts) -> str:
    """`Telling ants and bees apart`."""
    if len(run.classes) <= _MOST_IN_TITLE:
        return f"Telling {wording.listed(run.classes)} apart"
    return f"Telling {len(run.classes):,} classes apart"


def run_kind(run: RunFacts) -> str:
    """`report of run photos-20261124, begun 2026-11-24`."""
    began = str(run.environment.get("started", ""))[:10]
    return f"report of run {run.name}" + (f", begun {began}" if began else "")


def what_it_is(run: RunFacts) -> str:
    """`a classifier of 2 classes (ants and bees)`."""
    names = wording.listed(run.classes)
    return f"a classifier of {count_text(len(run.classes), 'class')} ({names})"


def _judged(run: RunFacts, metrics: RecordValues) -> Html:
    val = metrics["test"]
    low, high = val["accuracy_interval"]
    counted = counted_text(val["images"], val.get("counted", "images"), val.get("groups"))
    parts = [
        _figures_findings(metrics),
        tag(
            "p",
            wording.percent(val["accuracy"]),
            " ",
            tag("small", f"correct on {counted}"),
            class_="big",
        ),
        interval_track(_WHOLE, (low, high), val["accuracy"], reference=run.largest_share),
        track_scale(_WHOLE, most=5),
        paragraph(_range_sentence(run, val)),
        paragraph(
            f"The run trained {what_it_is(run)} from {_network(run)}, by the strategy ",
            tag("strong", wording.titled(run.plan["strategy"])),
            f". The {count_text(val['images'], 'image')} of this figure ({val['source']}) took no part in "
            f"training or choosing. Choices were made on: {metrics['validation']['source']}.",
        ),
        paragraph(tag("strong", f"Kept: {_kept_name(run, metrics)}. "), _sentence(metrics["selected"]["reason"])),
        _unused(metrics),
        _more_to_come(run, metrics),
        _cautions(run, metrics),
        _tiles(run, metrics),
    ]
    return joined(parts)


def _figures_findings(metrics: RecordValues) -> Html:
    """What the figures themselves give away: the reader must know it before the figures."""
    found = metrics.get("findings", ())
    if not found:
        return NOTHING
    items = (tag("li", tag("strong", _sentence(one["evidence"])), f" {_sentence(one['remedy'])}") for one in found)
    return notice("Before you read the figures", tag("ul", *items))


def _range_sentence(run: RunFacts, val: RecordValues) -> str:
    said = (
        f"On other images of the same kind expect {wording.interval_text(val['accuracy_interval'])} "
        f"(95\u00a0% interval; the line through the dot)."
    )
    if val.get("counted") == "groups":
        said += " The interval counts groups, because images of one group are alike."
    if run.largest_share is not None:
        said += f" Always naming the largest class would give {wording.percent(run.largest_share)} (dashed line)."
    return said


def _network(run: RunFacts) -> str:
    model = run.plan["model"]
    weights = "random weights" if model.get("weights") == "random" else "pretrained weights"
    return f"{model['name']} with {weights}"


def _kept_name(run: RunFacts, metrics: RecordValues) -> str:
    kept = run.selected
    return str(metrics["selected"]["checkpoint"]) if kept is None else _candidate(kept)


def _candidate(epoch: Epoch) -> str:
    """What one candidate for the best weights is."""
    if epoch.number == 0:
        return f"the linear probe ({epoch.row.phase}) on the pretrained features"
    return f"epoch {epoch.number} of phase {epoch.row.phase}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _unused(metrics: RecordValues) -> Html:
    unused = metrics["selected"].get("unused_tuning")
    return paragraph(_sentence(unused["text"])) if unused else NOTHING


def _more_to_come(run: RunFacts, metrics: RecordValues) -> Html:
    if run.state != "out of budget":
        return NOTHING
    return notice(
        "Not finished.",
        f"Training was stopped by the {metrics['stopped']}; what is shown is the best so far. Go on with:",
        command(metrics.get("resume") or run.resume_command),
    )


def _cautions(run: RunFacts, metrics: RecordValues) -> Html:
    """What the reader should know before trusting the figure."""
    above = {finding["what"] for finding in metrics.get("findings", ())}
    found = [f"{one['text']}." for one in metrics.get("warnings", ()) if one.get("kind") not in above]
    low, high = metrics["test"]["accuracy_interval"]
    if high - low > _WIDE_INTERVAL:
        found.append(
            f"The interval is {100 * (high - low):.0f} points wide, because only "
            f"{count_text(metrics['test']['images'], 'image')} report."
        )
    if run.largest_share is not None and low <= run.largest_share:
        found.append("The interval reaches down to what always naming the largest class gives.")
    if unreadable := len(run.data.get("unreadable", ())):
        found.append(f"{count_text(unreadable, 'image')} could not be read and took no part.")
    found += [_sentence(finding["evidence"]) for finding in run.data.get("findings", ()) if finding["level"] != "info"]
    if not found:
        return NOTHING
    return notice("Good to know first", tag("ul", *(tag("li", text) for text in found)))


def _tiles(run: RunFacts, metrics: RecordValues) -> Html:
    tested = [item for item in metrics["test"]["per_class"].items() if item[1]["images"]]
    weakest = min(tested, key=lambda item: item[1]["recall"], default=None)
    tiles = [
        ("training set", count_text(run.images("train"), "image")),
        (
            "validation set",
            count_text(run.images("validation"), "image") if run.images("validation") else "out-of-fold in train",
        ),
        ("test set", count_text(run.images("test"), "image")),
        ("balanced accuracy", wording.percent(metrics["test"]["balanced_accuracy"])),
        ("input", f"{run.plan['input']['size']} px"),
        ("time in all", wording.duration(metrics["seconds"]["total"])),
    ]
    if weakest is not None and len(run.classes) > 1:
        tiles.insert(4, ("weakest class", f"{weakest[0]} ({wording.percent(weakest[1]['recall'])})"))
    return facts(tiles)


def _unfinished(run: RunFacts) -> Html:
    best = max(run.epochs, key=lambda epoch: epoch.row.validation_accuracy or 0.0)
    reached = count_text(sum(epoch.number > 0 for epoch in run.epochs), "epoch")
    why = "It was stopped; everything is saved." if run.state == "stopped" else "It is under way, or it was killed."
    return joined(
        [
            tag("p", "Not finished", class_="big"),
            paragraph(
                f"This run trains {what_it_is(run)} from {_network(run)}, by the strategy ",
                tag("strong", wording.titled(run.plan["strategy"])),
                f". {why} So far: {wording.listed([phase.name for phase in run.phases])} done, {reached} trained.",
            ),
            paragraph(
                f"The best candidate so far is {_candidate(best)}, with "
                f"{wording.percent(best.row.validation_accuracy)} on the "
                f"validation images ({run.data['validation_source']}). That figure chose among candidates, so it "
                f"flatters; the {count_text(run.images('test'), 'image')} that report have not been looked at."
            ),
            paragraph("Go on with:"),
            command(run.resume_command),
        ]
    )
