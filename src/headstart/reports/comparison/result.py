"""Top card of a comparison's report: the recommended variant, its metrics, and which variants tie with it."""

from __future__ import annotations

from collections import Counter

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.html.page import command, facts, notice, paragraph
from headstart.reports.comparison.facts import ComparisonFacts
from headstart.runs.record import RecordValues

COMPARED = {"models": "networks", "strategies": "strategies", "learning_rates": "learning rates", "grid": "plans"}
METRICS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "log_loss": "log loss"}
NEEDS_DOWNLOAD = "needs download"


def comparison_title(comparison: ComparisonFacts) -> str:
    """Title, such as `Three strategies compared`."""
    count = len(comparison.variants)
    words = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
    return f"{words[count] if count < len(words) else count} {what_of(comparison)} compared"


def comparison_kind(comparison: ComparisonFacts) -> str:
    """Kind and date, such as `report of comparison NAME, begun 2026-11-24`."""
    began = str((comparison.result.get("environment") or {}).get("started", ""))[:10]
    return f"report of comparison {comparison.name}" + (f", begun {began}" if began else "")


def what_of(comparison: ComparisonFacts) -> str:
    """Plural noun of what is compared, such as `strategies`."""
    return COMPARED.get(comparison.result["what"], str(comparison.result["what"]))


def comparison_result_card(comparison: ComparisonFacts) -> Html:
    """Card with the result so far."""
    result = comparison.result
    chosen = result.get("chosen")
    parts = [*(_chosen(comparison, chosen) if chosen else _open(comparison)), _compared(comparison)]
    if not result["finished"]:
        parts.append(_unfinished(comparison))
    parts += [_cautions(comparison), _once_more(comparison), _tiles(comparison)]
    return tag("section", joined(parts), class_="card result", id="result", aria_label="Result")


def _chosen(comparison: ComparisonFacts, chosen: RecordValues) -> list[Html]:
    data, test = comparison.result["data"], chosen.get("test")
    tied = chosen.get("tied_with") or []
    figure = f"{wording.percent(test['accuracy'])} correct" if test else ""
    said: list[str | None] = [
        tag("strong", f"{'Recommended' if tied else 'Chosen'}: {chosen['variant']}."),
        f" {_closed(chosen['why'])} Validation: {_validation(data)}. ",
        f"{wording.listed(tied)} {'ties' if len(tied) == 1 else 'tie'} with it: no significant difference. "
        if tied
        else "No other variant ties with it. ",
    ]
    if test:
        said.append(
            f"Test accuracy on {count_text(test['images'], 'image')} ({data['tested_on']}): "
            f"{wording.percent(test['accuracy'])}, 95\u00a0% interval "
            f"{wording.interval_text(test['interval'])}{_pooled(test)}."
        )
    else:
        said.append("It has no test accuracy.")
    headline = chosen.get("headline")  # of older results: the variant alone
    big = f"{_closed(headline)} " if headline else f"{chosen['variant']} "
    return [
        tag("p", big, tag("small", figure) if figure and not (tied and headline) else None, class_="big"),
        paragraph(*said),
    ]


def _closed(sentence: str) -> str:
    begun = f"{sentence[:1].upper()}{sentence[1:]}"
    return begun if begun.endswith(".") else f"{begun}."


def _validation(data: RecordValues) -> str:
    count = f"{count_text(data['validation_images'], 'image')}, " if data.get("validation_images") else ""
    return f"{count}{data['validated_on']}"


def _pooled(test: RecordValues) -> str:
    seeds = len(test.get("by_seed") or ())
    few = f"; too few seeds: use {test['seeds_needed']}" if test.get("seeds_needed") else ""
    return f" (pooled over {seeds} seeds{few})" if seeds > 1 else ""


def _open(comparison: ComparisonFacts) -> list[Html]:
    said = "No variant is recommended yet." if not comparison.result["finished"] else "No variant can be recommended."
    return [tag("p", "No recommendation yet", class_="big"), paragraph(said)]


def _compared(comparison: ComparisonFacts) -> Html:
    result = comparison.result
    data, seeds = result["data"], result["seeds"]
    names = wording.listed([one["name"] for one in comparison.variants])
    each = "one seed each" if len(seeds) == 1 else f"{len(seeds)} seeds each, because results differ between seeds"
    text = (
        f"{count_text(len(comparison.variants), 'variant')} were compared ({names}), {each}, by "
        f"{METRICS.get(result['metric'], result['metric'])}"
    )
    if data.get("train_images") is None:
        text += "."
    else:
        text += (
            f", on {count_text(len(data['classes']), 'class')}: {count_text(data['train_images'], 'training image')}."
        )
    if result.get("halving") == "successive":
        text += " Weak variants were dropped early (successive halving), after training on fewer images."
    return paragraph(text)


def _unfinished(comparison: ComparisonFacts) -> Html:
    states = Counter(trial["state"] for trial in comparison.result["trials"])
    open_ = states["to_come"]
    resume = comparison.result.get("resume")
    return notice(
        "Not finished.",
        f"{count_text(open_, 'trial')} of {len(comparison.result['trials'])} "
        f"{'is' if open_ == 1 else 'are'} not run yet; all figures may change.",
        joined([" Resume with:", command(resume)]) if resume else None,
    )


def _once_more(comparison: ComparisonFacts) -> Html:
    """Notice on how to repeat failed trials and trials without pretrained weights, once all others are done."""
    result = comparison.result
    if not result["finished"] or not result.get("resume"):
        return NOTHING
    why = result.get("why_resume") or "trials failed; try again with"
    return notice("To be repeated.", f"{why[:1].upper()}{why[1:]}:", command(result["resume"]))


def _cautions(comparison: ComparisonFacts) -> Html:
    found = []
    failed = [trial["trial"] for trial in comparison.result["trials"] if trial["state"] == "failed"]
    if failed:
        found.append(f"{count_text(len(failed), 'trial')} failed: {wording.listed(failed)}; the table says why.")
    downloads = [one["name"] for one in comparison.variants if one.get("accuracy_status") == NEEDS_DOWNLOAD]
    if downloads:
        found.append(
            f"{wording.listed(downloads)} ran with random weights, because the pretrained ones need a download: time, "
            "memory and latency are valid, accuracy is not reported."
        )
        found += [
            f"{one['name']}: {one['weights_missing']}." for one in comparison.variants if one.get("weights_missing")
        ]
    left = [one["name"] for one in comparison.variants if one["name"] in downloads and one.get("dropped_at")]
    if left:
        found.append(
            f"{wording.listed(left)} dropped for lack of weights; once they are available, a new comparison includes "
            f"{'it' if len(left) == 1 else 'them'} as well."
        )
    if comparison.missing:
        found.append(
            f"Runs of {count_text(len(comparison.missing), 'trial')} cannot be read, so their curves are "
            f"missing: {wording.listed(list(comparison.missing.values()), most=2)}."
        )
    if not found:
        return NOTHING
    return notice("Cautions", tag("ul", *(tag("li", text) for text in found)))


def _tiles(comparison: ComparisonFacts) -> Html:
    result = comparison.result
    done = sum(trial["state"] == "done" for trial in result["trials"])
    return facts(
        [
            ("trials done", f"{done} of {len(result['trials'])}"),
            ("seeds", str(len(result["seeds"]))),
            *_image_tiles(result["data"]),
            ("time in all", wording.duration(result.get("seconds"))),
        ]
    )


def _image_tiles(data: RecordValues) -> list[tuple[str, str]]:
    """Number of images by role; nothing where no trial has them."""
    if data.get("train_images") is None:
        return []
    validation = count_text(data["validation_images"], "image") if data["validation_images"] else "out of fold"
    return [
        ("training set", count_text(data["train_images"], "image")),
        ("validation set", validation),
        ("test set", count_text(data["test_images"], "image")),
    ]
