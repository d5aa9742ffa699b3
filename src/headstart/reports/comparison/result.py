"""The top of a comparison's report: what was compared, what was chosen, on which images, and what ties with it."""

from __future__ import annotations

from collections import Counter

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.html.page import command, facts, notice, paragraph
from headstart.reports.comparison.facts import ComparisonFacts
from headstart.runs.record import Values

COMPARED = {"models": "networks", "strategies": "strategies", "rates": "learning rates", "grid": "plans"}
METRICS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "log_loss": "log loss"}
NEEDS_DOWNLOAD = "needs download"


def comparison_title(comparison: ComparisonFacts) -> str:
    """`Three strategies compared`."""
    count = len(comparison.variants)
    words = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
    return f"{words[count] if count < len(words) else count} {what_of(comparison)} compared"


def comparison_kind(comparison: ComparisonFacts) -> str:
    """`report of comparison NAME, begun 2026-11-24`."""
    began = str((comparison.answer.get("environment") or {}).get("started", ""))[:10]
    return f"report of comparison {comparison.name}" + (f", begun {began}" if began else "")


def what_of(comparison: ComparisonFacts) -> str:
    """What is compared, as a noun."""
    return COMPARED.get(comparison.answer["what"], str(comparison.answer["what"]))


def comparison_answer(comparison: ComparisonFacts) -> Html:
    """The answer, as far as there is one."""
    answer = comparison.answer
    chosen = answer.get("chosen")
    parts = [*(_chosen(comparison, chosen) if chosen else _open(comparison)), _compared(comparison)]
    if not answer["finished"]:
        parts.append(_unfinished(comparison))
    parts += [_cautions(comparison), _once_more(comparison), _tiles(comparison)]
    return tag("section", joined(parts), class_="card answer", id="answer", aria_label="The answer")


def _chosen(comparison: ComparisonFacts, chosen: Values) -> list[Html]:
    data, report = comparison.answer["data"], chosen.get("report")
    tied = chosen.get("tied_with") or []
    figure = f"{wording.percent(report['accuracy'])} right" if report else ""
    said: list[str | None] = [
        tag("strong", f"{'Recommended' if tied else 'Chosen'}: {chosen['variant']}."),
        f" {_closed(chosen['why'])} Choices were made on: {_choosing(data)}. ",
        f"{wording.listed(tied)} {'ties' if len(tied) == 1 else 'tie'} with it: these images cannot tell them apart. "
        if tied
        else "Nothing else ties with it. ",
    ]
    if report:
        said.append(
            f"On {count_text(report['images'], 'image')} that chose nothing ({data['reported_on']}) it names "
            f"{wording.percent(report['accuracy'])} rightly; the 95\u00a0% interval is "
            f"{wording.interval(report['interval'])}{_pooled(report)}."
        )
    else:
        said.append("It has no figure on images that chose nothing.")
    headline = chosen.get("headline")  # of older answers: the variant alone
    big = f"{_closed(headline)} " if headline else f"{chosen['variant']} "
    return [
        tag("p", big, tag("small", figure) if figure and not (tied and headline) else None, class_="big"),
        paragraph(*said),
    ]


def _closed(sentence: str) -> str:
    begun = f"{sentence[:1].upper()}{sentence[1:]}"
    return begun if begun.endswith(".") else f"{begun}."


def _choosing(data: Values) -> str:
    count = f"{count_text(data['select_images'], 'image')}, " if data.get("select_images") else ""
    return f"{count}{data['selected_on']}"


def _pooled(report: Values) -> str:
    seeds = len(report.get("by_seed") or ())
    few = f"; too few seeds: use {report['seeds_needed']}" if report.get("seeds_needed") else ""
    return f" (pooled over {seeds} seeds{few})" if seeds > 1 else ""


def _open(comparison: ComparisonFacts) -> list[Html]:
    said = "No variant is chosen yet." if not comparison.answer["finished"] else "No variant could be chosen."
    return [tag("p", "No choice yet", class_="big"), paragraph(said)]


def _compared(comparison: ComparisonFacts) -> Html:
    answer = comparison.answer
    data, seeds = answer["data"], answer["seeds"]
    names = wording.listed([one["name"] for one in comparison.variants])
    each = (
        "each once" if len(seeds) == 1 else f"each with {len(seeds)} seeds, because another seed gives another figure"
    )
    text = (
        f"Compared were {count_text(len(comparison.variants), 'variant')} ({names}), {each}, by "
        f"{METRICS.get(answer['metric'], answer['metric'])}"
    )
    if data.get("fit_images") is None:
        text += "."
    else:
        text += (
            f", on {count_text(len(data['classes']), 'class')}: "
            f"{count_text(data['fit_images'], 'image')} to learn from."
        )
    if answer.get("halving") == "successive":
        text += " Weak variants were dropped early (successive halving): they saw fewer images."
    return paragraph(text)


def _unfinished(comparison: ComparisonFacts) -> Html:
    states = Counter(trial["state"] for trial in comparison.answer["trials"])
    open_ = states["to_come"]
    resume = comparison.answer.get("resume")
    return notice(
        "Not finished.",
        f"{count_text(open_, 'trial')} of {len(comparison.answer['trials'])} "
        f"{'is' if open_ == 1 else 'are'} still to come; all figures may change.",
        joined([" Go on with:", command(resume)]) if resume else None,
    )


def _once_more(comparison: ComparisonFacts) -> Html:
    """The way out for what failed, or waits for weights, where nothing else is left to do."""
    answer = comparison.answer
    if not answer["finished"] or not answer.get("resume"):
        return NOTHING
    why = answer.get("why_resume") or "trials failed; once more with"
    return notice("What is left.", f"{why[:1].upper()}{why[1:]}:", command(answer["resume"]))


def _cautions(comparison: ComparisonFacts) -> Html:
    found = []
    failed = [trial["trial"] for trial in comparison.answer["trials"] if trial["state"] == "failed"]
    if failed:
        found.append(f"{count_text(len(failed), 'trial')} failed: {wording.listed(failed)}; the table says why.")
    downloads = [one["name"] for one in comparison.variants if one.get("accuracy_status") == NEEDS_DOWNLOAD]
    if downloads:
        found.append(
            f"{wording.listed(downloads)} ran with random weights, because the real ones need a download: time, memory "
            "and speed hold, accuracy would not."
        )
        found += [
            f"{one['name']}: {one['weights_missing']}." for one in comparison.variants if one.get("weights_missing")
        ]
    left = [one["name"] for one in comparison.variants if one["name"] in downloads and one.get("dropped_at")]
    if left:
        found.append(
            f"{wording.listed(left)} left the race for lack of weights; once they can be had, a new comparison judges "
            f"{'it' if len(left) == 1 else 'them'} as well."
        )
    if comparison.missing:
        found.append(
            f"Runs of {count_text(len(comparison.missing), 'trial')} cannot be read any more, so their curves are "
            f"missing: {wording.listed(list(comparison.missing.values()), most=2)}."
        )
    if not found:
        return NOTHING
    return notice("Good to know first", tag("ul", *(tag("li", text) for text in found)))


def _tiles(comparison: ComparisonFacts) -> Html:
    answer = comparison.answer
    done = sum(trial["state"] == "done" for trial in answer["trials"])
    return facts(
        [
            ("trials done", f"{done} of {len(answer['trials'])}"),
            ("seeds", str(len(answer["seeds"]))),
            *_image_tiles(answer["data"]),
            ("time in all", wording.duration(answer.get("seconds"))),
        ]
    )


def _image_tiles(data: Values) -> list[tuple[str, str]]:
    """How many images play each role; nothing where no trial could tell."""
    if data.get("fit_images") is None:
        return []
    choosing = count_text(data["select_images"], "image") if data["select_images"] else "out of fold"
    return [
        ("to learn from", count_text(data["fit_images"], "image")),
        ("to choose on", choosing),
        ("to report", count_text(data["report_images"], "image")),
    ]
