"""Sections on errors: misclassified images, the confusion matrix with its images, and figures of each class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.kit import PageSection, fold, paragraph, table
from headstart.html.markup import Html, joined, tag
from headstart.html.pictures import NO_PICTURES, Pictures
from headstart.html.plot import share_axis, starts_at
from headstart.html.tracks import interval_track, track_scale
from headstart.runs.record import RunRecord
from headstart.runs.tables import PredictedImage

_MOST_CLASSES = 25
"""A larger matrix cannot be read; its errors are listed instead, the most frequent first."""
_MOST_PAIRS = 40
_MOST_FOLDS = 12
_MOST_WORST = 12
_MOST_IN_WRONG_CELL = 200
_MOST_IN_RIGHT_CELL = 24

_WORST_TITLE = "Misclassified with the highest confidence"

Cell = tuple[str, str]
"""True class, predicted class."""


def worst_section(run: RunRecord, pictures: Pictures = NO_PICTURES) -> PageSection | None:
    """Section on the misclassified images with the highest confidence; None where no prediction is recorded."""
    wrong = sorted(
        (one for one in run.predictions if not one.is_correct),
        key=lambda one: (-one.probability, one.image),
    )
    if not run.predictions:
        return None
    if not wrong:
        return PageSection("worst", _WORST_TITLE, paragraph("Every test image is classified correctly."))
    items = [_mistake(run, pictures, one) for one in wrong[:_MOST_WORST]]
    verb = "is" if len(wrong) == 1 else "are"
    count = f"{len(wrong):,} of {count_text(len(run.predictions), 'test image')} {verb} misclassified"
    parts = [
        paragraph(
            f"{count}. These are the ones with the highest predicted probability. Check them first for wrong labels, "
            "for images that show several classes, and for features that the network should not rely on."
        ),
        tag("ul", *items, class_="files worst"),
    ]
    return PageSection("worst", _WORST_TITLE, joined(parts))


def _mistake(run: RunRecord, pictures: Pictures, one: PredictedImage) -> Html:
    probability = run.label_probability(one)
    true = f" ({wording.percent(probability)})" if probability is not None else ""
    text = tag(
        "span",
        tag("b", f"predicted {one.predicted} ({wording.percent(one.probability)})"),
        f"true class {one.label}{true}",
        tag("br"),
        tag("code", one.image),
    )
    return tag("li", pictures.of(one.image, f"true class {one.label}, predicted {one.predicted}"), text)


def confusion_section(run: RunRecord, pictures: Pictures = NO_PICTURES) -> PageSection | None:
    """Section with the confusion matrix and the images of every cell; None before the run has ended once."""
    if run.metrics is None:
        return None
    counts = run.metrics.test.confusion
    behind: dict[Cell, list[PredictedImage]] = defaultdict(list)
    for one in run.predictions:
        behind[one.label, one.predicted].append(one)
    shown = [cell for cell in _cells(run.classes, counts) if behind.get(cell)]
    folds = _images_behind(run, pictures, shown, behind)
    links = {cell: f"cell-{index}" for index, cell in enumerate(shown)}
    small = len(run.classes) <= _MOST_CLASSES
    parts = [
        _matrix(run.classes, counts, links) if small else _pairs(run.classes, counts, links),
        tag("h3", "Images of each cell") if folds else None,
        tag("div", *folds[:_MOST_FOLDS], class_="folds") if folds else None,
        fold(f"{len(folds) - _MOST_FOLDS} more cells", tag("div", *folds[_MOST_FOLDS:], class_="folds"))
        if len(folds) > _MOST_FOLDS
        else None,
        *(paragraph(note, style="small") for note in pictures.notes() if folds),
    ]
    return PageSection("confusion", "Confusion matrix", joined(parts))


def _cells(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> list[Cell]:
    """Cells with images: errors first, those with most images first, then the diagonal in class order."""
    place = range(len(classes))
    wrong = sorted((-counts[i][j], i, j) for i in place for j in place if i != j and counts[i][j])
    right = [(classes[i], classes[i]) for i in place if counts[i][i]]
    return [(classes[i], classes[j]) for _, i, j in wrong] + right


def _matrix(classes: Sequence[str], counts: Sequence[Sequence[int]], links: dict[Cell, str]) -> Html:
    head = tag(
        "tr",
        tag("th", "true \u2193 predicted \u2192", scope="col", class_="corner"),
        *(tag("th", c, scope="col") for c in classes),
    )
    rows = []
    for i, label in enumerate(classes):
        total = max(1, sum(counts[i]))
        cells = []
        for j, predicted in enumerate(classes):
            count = counts[i][j]
            target = links.get((label, predicted))
            inner = tag("a", f"{count:,}", href=f"#{target}") if target else tag("span", f"{count:,}")
            kind = "right" if i == j else "wrong"
            cells.append(tag("td", inner, class_=kind, style=f"--share:{count / total:.3f}"))
        rows.append(tag("tr", tag("th", label, scope="row"), *cells))
    says = "Confusion matrix: images by true class (row) and predicted class (column)"
    whole = tag(
        "table", tag("caption", says, class_="hs-hidden"), tag("thead", head), tag("tbody", *rows), class_="matrix"
    )
    intro = paragraph(
        "Rows are true classes, columns predicted classes; the diagonal is correct. The deeper the colour, the larger "
        "the share of the row. Each number links to its images."
    )
    return joined([intro, tag("div", whole, class_="hs-scroll", role="region", aria_label=says, tabindex="0")])


def _pairs(classes: Sequence[str], counts: Sequence[Sequence[int]], links: dict[Cell, str]) -> Html:
    place = {name: index for index, name in enumerate(classes)}
    rows: list[list[str | None]] = []
    for label, predicted in _cells(classes, counts):
        if label != predicted and len(rows) < _MOST_PAIRS:
            count = counts[place[label]][place[predicted]]
            target = links.get((label, predicted))
            figure = tag("a", f"{count:,}", href=f"#{target}") if target else f"{count:,}"
            rows.append([label, predicted, figure, wording.percent(count / sum(counts[place[label]]))])
    intro = paragraph(
        f"A matrix of {len(classes)} classes would be too large to read; these are the most frequent confusions."
    )
    header = ["true class", "predicted class", "images", "share of the class"]
    return joined([intro, table(header, rows, says="Most frequent confusions", numeric=(2, 3))])


def _images_behind(
    run: RunRecord, pictures: Pictures, cells: Sequence[Cell], behind: dict[Cell, list[PredictedImage]]
) -> list[Html]:
    """One fold a cell; names are listed until the page has its share of them."""
    room, folds = run.most_names, []
    for index, (label, predicted) in enumerate(cells):
        images = sorted(behind[label, predicted], key=lambda one: (-one.probability, one.image))
        most = _MOST_IN_RIGHT_CELL if label == predicted else _MOST_IN_WRONG_CELL
        listed = images[: min(most, room)]
        room -= len(listed)
        items = [_named(pictures, one) for one in listed]
        if more := len(images) - len(listed):
            items.append(tag("li", tag("span", f"and {more:,} more, see predictions.parquet", class_="soft")))
        what = f"{label}, classified correctly" if label == predicted else f"{label} predicted as {predicted}"
        title = f"{what}: {count_text(len(images), 'image')}"
        folds.append(fold(title, tag("ul", *items, class_="files"), id=f"cell-{index}"))
    return folds


def _named(pictures: Pictures, one: PredictedImage) -> Html:
    text = tag("span", tag("code", one.image), f" {wording.percent(one.probability)}")
    return tag("li", pictures.of(one.image, f"true class {one.label}, predicted {one.predicted}"), text)


def classes_section(run: RunRecord) -> PageSection | None:
    """Section on precision, recall and F1 of each class; None before the run has ended once."""
    if run.metrics is None:
        return None
    per_class = run.metrics.test.per_class
    ends = [end for row in per_class.values() for end in (row.recall_interval or ())]
    axis = share_axis(ends or [0.0, 1.0])
    rows: list[list[str | None]] = [
        [
            name,
            f"{row.images:,}",
            _share(row.recall),
            interval_track(axis, row.recall_interval, row.recall),
            wording.interval_text(row.recall_interval),
            _share(row.precision),
            _share(row.f1),
        ]
        for name, row in per_class.items()
    ]
    rows.append(["", "", "", track_scale(axis), "", "", ""])
    header = [
        "class",
        "test images",
        "recall",
        "recall with 95\u00a0% interval",
        "95\u00a0% interval",
        "precision",
        "F1",
    ]
    intro = paragraph(
        "Recall: share of the images of a class that are predicted as it. Precision: share of the images predicted as "
        f"a class that belong to it. F1: harmonic mean of both.{starts_at(axis)}"
    )
    body = table(header, rows, says="Precision, recall and F1 by class", numeric=(1, 2, 4, 5, 6))
    return PageSection("classes", "Precision and recall by class", joined([intro, body]))


def _share(value: float | None) -> str:
    """A percentage, or a dash for a share of no images."""
    return "\u2013" if value is None else wording.percent(value)
