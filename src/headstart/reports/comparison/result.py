"""Top card of a comparison's report: the recommended variant, its metrics, and which variants tie with it."""

from __future__ import annotations

from headstart.amounts import count_text
from headstart.comparison.outcomes import VariantMetrics
from headstart.comparison.recommendation import Recommendation
from headstart.comparison.record import ComparedImages, ComparisonRecord
from headstart.html import wording
from headstart.html.kit import command, facts, notice, paragraph
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.reports.comparison.facts import ComparisonFacts

COMPARED = {"models": "networks", "strategies": "strategies", "learning_rates": "learning rates", "grid": "plans"}
METRICS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "log_loss": "log loss"}
NEEDS_DOWNLOAD = "needs download"
_SHORT_HEADLINE = 48
"""Letters of a headline that is set as large as the accuracy of a run."""


def comparison_title(comparison: ComparisonFacts) -> str:
    """Title, such as `Three strategies compared`."""
    count = len(comparison.variants)
    words = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
    return f"{words[count] if count < len(words) else count} {what_of(comparison)} compared"


def comparison_kind(comparison: ComparisonFacts) -> str:
    """Kind and date, such as `report of comparison NAME, begun 2026-11-24`."""
    began = comparison.record.started[:10]
    return f"report of comparison {comparison.name}" + (f", begun {began}" if began else "")


def what_of(comparison: ComparisonFacts) -> str:
    """Plural noun of what is compared, such as `strategies`."""
    return COMPARED[comparison.record.what]


def comparison_result_card(comparison: ComparisonFacts) -> Html:
    """Card with the result so far."""
    record, chosen = comparison.record, comparison.record.chosen
    parts = [*(_chosen(record, chosen) if chosen else _open(record)), _compared(record)]
    if not record.finished:
        parts.append(_unfinished(record))
    parts += [_cautions(comparison), _once_more(record), _tiles(record)]
    return tag("section", joined(parts), class_="hs-card result", id="result", aria_label="Result")


def _chosen(record: ComparisonRecord, chosen: Recommendation) -> list[Html]:
    data, test, tied = record.data, chosen.test, chosen.tied_with
    figure = f"test accuracy {wording.percent(test.accuracy)}" if test and not tied else None
    said: list[str | None] = [
        tag("strong", f"{'Recommended' if tied else 'Chosen'}: {chosen.variant}."),
        f" {sentence_of(chosen.why)} Validation: {_validation(data)}. ",
        f"{wording.listed(tied)} {'ties' if len(tied) == 1 else 'tie'} with it: no significant difference. "
        if tied
        else "No other variant ties with it. ",
    ]
    if test:
        said.append(
            f"Test accuracy on {count_text(test.images, 'image')} ({data.tested_on}): "
            f"{wording.percent(test.accuracy)}, 95\u00a0% interval "
            f"{wording.interval_text(test.interval)}{_pooled(test, record)}."
        )
    else:
        said.append("It has no test accuracy.")
    style = "big" if len(chosen.headline) <= _SHORT_HEADLINE else "big sentence"
    big = tag("p", f"{sentence_of(chosen.headline)} ", tag("small", figure) if figure else None, class_=style)
    return [big, paragraph(*said)]


def sentence_of(sentence: str) -> str:
    """The words with a capital at the beginning and a full stop at the end."""
    begun = f"{sentence[:1].upper()}{sentence[1:]}"
    return begun if begun.endswith(".") else f"{begun}."


def _validation(data: ComparedImages) -> str:
    count = f"{count_text(data.validation_images, 'image')}, " if data.validation_images else ""
    return f"{count}{data.validated_on}"


def _pooled(test: VariantMetrics, record: ComparisonRecord) -> str:
    count = len(test.by_seed)
    few = f"; too few {record.repeats}: use {test.seeds_needed}" if test.seeds_needed else ""
    return f" (pooled over {count} {record.repeats}{few})" if count > 1 else ""


def _open(record: ComparisonRecord) -> list[Html]:
    said = "No variant is recommended yet." if not record.finished else "No variant can be recommended."
    return [tag("p", "No recommendation yet", class_="big"), paragraph(said)]


def _compared(record: ComparisonRecord) -> Html:
    data, seeds = record.data, record.seeds
    names = wording.listed([one.name for one in record.variants])
    each = "one seed each" if len(seeds) == 1 else f"{len(seeds)} seeds each, because results differ between seeds"
    if record.folds is not None:
        each = f"{record.folds} folds of all images{'' if len(seeds) == 1 else f', with {len(seeds)} seeds'}"
    text = f"{count_text(len(record.variants), 'variant')} were compared ({names}), {each}, by {METRICS[record.metric]}"
    if data.train_images is None:
        text += "."
    else:
        text += f", on {count_text(len(data.classes), 'class')}: {count_text(data.train_images, 'training image')}."
    if record.halving == "successive":
        text += " Weak variants were dropped early (successive halving), after training on fewer images."
    return paragraph(text)


def _unfinished(record: ComparisonRecord) -> Html:
    open_ = sum(trial.state == "to_come" for trial in record.trials)
    return notice(
        "Not finished.",
        f"{count_text(open_, 'trial')} of {len(record.trials)} "
        f"{'is' if open_ == 1 else 'are'} not run yet; all figures may change.",
        joined([" Resume with:", command(record.resume)]) if record.resume else None,
    )


def _once_more(record: ComparisonRecord) -> Html:
    """Notice on how to repeat failed trials and trials without pretrained weights, once all others are done."""
    if not record.finished or not record.resume or not record.why_resume:
        return NOTHING
    return notice("To be repeated.", f"{record.why_resume[:1].upper()}{record.why_resume[1:]}:", command(record.resume))


def _cautions(comparison: ComparisonFacts) -> Html:
    found, variants = [], comparison.variants
    failed = [trial.trial for trial in comparison.record.trials if trial.state == "failed"]
    if failed:
        found.append(f"{count_text(len(failed), 'trial')} failed: {wording.listed(failed)}; the table says why.")
    downloads = [one for one in variants if one.accuracy_status == NEEDS_DOWNLOAD]
    if downloads:
        found.append(
            f"{wording.listed([one.name for one in downloads])} ran with random weights, because the pretrained ones "
            "need a download: time, memory and latency are valid, accuracy is not reported."
        )
    found += [f"{one.name}: {one.weights_missing}." for one in downloads if one.weights_missing]
    left = [one.name for one in downloads if one.dropped_at]
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


def _tiles(record: ComparisonRecord) -> Html:
    done = sum(trial.state == "done" for trial in record.trials)
    return facts(
        [
            ("trials done", f"{done} of {len(record.trials)}"),
            ("seeds", str(len(record.seeds))),
            *([] if record.folds is None else [("folds", str(record.folds))]),
            *_image_tiles(record.data),
            ("total time", wording.duration(record.seconds)),
        ]
    )


def _image_tiles(data: ComparedImages) -> list[tuple[str, str]]:
    """Number of images by role; nothing where no trial has them."""
    if data.train_images is None:
        return []
    validation = count_text(data.validation_images, "image") if data.validation_images else "out of fold"
    return [
        ("training set", count_text(data.train_images, "image")),
        ("validation set", validation),
        ("test set", count_text(data.test_images or 0, "image")),
    ]
