"""What the network gets wrong: confusion with the images behind it, figures by class, the worst mistakes."""

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
from headstart.runs.record import Prediction, RunFacts

_MOST_CLASSES = 25
"""A larger matrix cannot be read; its wrong cells are listed instead, the fullest first."""
_MOST_PAIRS = 40
_MOST_FOLDS = 12
_MOST_WORST = 12
_MOST_IN_WRONG_CELL = 200
_MOST_IN_RIGHT_CELL = 24

Cell = tuple[str, str]
"""True class, predicted class."""


def worst_section(run: RunFacts, pictures: Pictures = NO_PICTURES) -> PageSection | None:
    """The most confident wrong answers."""
    wrong = sorted(
        (one for one in run.predictions if one.label != one.predicted),
        key=lambda one: (-one.probability, one.image),
    )
    if not run.predictions:
        return None
    if not wrong:
        return PageSection("worst", "Worst mistakes", paragraph("There are none: every image was named rightly."))
    items = [_mistake(run, pictures, one) for one in wrong[:_MOST_WORST]]
    count = f"{len(wrong):,} of {count_text(len(run.predictions), 'image')} were named wrongly"
    parts = [
        paragraph(
            f"{count}. These are the ones the network was surest about: look here first for wrong labels, for images "
            "that show both classes, and for what the network looks at instead."
        ),
        tag("ul", *items, class_="files worst"),
    ]
    return PageSection("worst", "Worst mistakes", joined(parts))


def _mistake(run: RunFacts, pictures: Pictures, one: Prediction) -> Html:
    true = f" ({wording.percent(one.label_probability)})" if one.label_probability is not None else ""
    text = tag(
        "span",
        tag("b", f"named {one.predicted}, {wording.percent(one.probability)} sure"),
        f"labelled {one.label}{true}",
        tag("br"),
        tag("code", one.image),
    )
    return tag("li", pictures.of(one.image, f"labelled {one.label}, named {one.predicted}"), text)


def confusion_section(run: RunFacts, pictures: Pictures = NO_PICTURES) -> PageSection | None:
    """The matrix, and the images behind every cell."""
    if run.metrics is None:
        return None
    counts = run.metrics["test"]["confusion"]
    behind: dict[Cell, list[Prediction]] = defaultdict(list)
    for one in run.predictions:
        behind[one.label, one.predicted].append(one)
    shown = [cell for cell in _cells(run.classes, counts) if behind.get(cell)]
    folds = _images_behind(run, pictures, shown, behind)
    links = {cell: f"cell-{index}" for index, cell in enumerate(shown)}
    small = len(run.classes) <= _MOST_CLASSES
    parts = [
        _matrix(run.classes, counts, links) if small else _pairs(run.classes, counts, links),
        tag("h3", "The images behind each cell") if folds else None,
        tag("div", *folds[:_MOST_FOLDS], class_="folds") if folds else None,
        fold(f"{len(folds) - _MOST_FOLDS} more cells", tag("div", *folds[_MOST_FOLDS:], class_="folds"))
        if len(folds) > _MOST_FOLDS
        else None,
        *(paragraph(note, style="small") for note in pictures.notes() if folds),
    ]
    return PageSection("confusion", "What was taken for what", joined(parts))


def _cells(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> list[Cell]:
    """Cells with images: wrong ones first, the fullest first, then the right ones in class order."""
    place = range(len(classes))
    wrong = sorted((-counts[i][j], i, j) for i in place for j in place if i != j and counts[i][j])
    right = [(classes[i], classes[i]) for i in place if counts[i][i]]
    return [(classes[i], classes[j]) for _, i, j in wrong] + right


def _matrix(classes: Sequence[str], counts: Sequence[Sequence[int]], links: dict[Cell, str]) -> Html:
    head = tag(
        "tr",
        tag("th", "labelled \u2193 named \u2192", scope="col", class_="corner"),
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
    says = "Confusion: images of each class (row) by what they were named (column)"
    whole = tag(
        "table", tag("caption", says, class_="hs-hidden"), tag("thead", head), tag("tbody", *rows), class_="matrix"
    )
    intro = paragraph(
        "A row is what the images are labelled, a column what they were named: the diagonal is right, all else wrong. "
        "The deeper the colour, the larger the share of the row. A number leads to its images."
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
        f"With {len(classes)} classes a whole matrix cannot be read; these pairs were mixed up most often."
    )
    header = ["labelled", "named", "images", "of the class"]
    return joined([intro, table(header, rows, says="Pairs that were mixed up", numeric=(2, 3))])


def _images_behind(
    run: RunFacts, pictures: Pictures, cells: Sequence[Cell], behind: dict[Cell, list[Prediction]]
) -> list[Html]:
    """One fold a cell; names are given until the page has its share of them."""
    room, folds = run.most_names, []
    for index, (label, predicted) in enumerate(cells):
        images = sorted(behind[label, predicted], key=lambda one: (-one.probability, one.image))
        most = _MOST_IN_RIGHT_CELL if label == predicted else _MOST_IN_WRONG_CELL
        listed = images[: min(most, room)]
        room -= len(listed)
        items = [_named(pictures, one) for one in listed]
        if more := len(images) - len(listed):
            items.append(tag("li", tag("span", f"and {more:,} more, see predictions.parquet", class_="soft")))
        what = f"{label} named rightly" if label == predicted else f"{label} named {predicted}"
        title = f"{what}: {count_text(len(images), 'image')}"
        folds.append(fold(title, tag("ul", *items, class_="files"), id=f"cell-{index}"))
    return folds


def _named(pictures: Pictures, one: Prediction) -> Html:
    text = tag("span", tag("code", one.image), f" {wording.percent(one.probability)}")
    return tag("li", pictures.of(one.image, f"labelled {one.label}, named {one.predicted}"), text)


def classes_section(run: RunFacts) -> PageSection | None:
    """Figures of each class, recall with its interval."""
    if run.metrics is None:
        return None
    per_class = run.metrics["test"]["per_class"]
    ends = [end for row in per_class.values() for end in (row["recall_interval"] or ())]
    axis = share_axis(ends or [0.0, 1.0])
    rows: list[list[str | None]] = [
        [
            name,
            f"{row['images']:,}",
            _share(row["recall"] if row["images"] else None),
            interval_track(axis, row["recall_interval"], row["recall"] if row["images"] else None),
            wording.interval_text(row["recall_interval"]),
            _share(row["precision"]),
            _share(row["f1"]),
        ]
        for name, row in per_class.items()
    ]
    rows.append(["", "", "", track_scale(axis), "", "", ""])
    header = ["class", "images", "recall", "with 95\u00a0% interval", "95\u00a0% interval", "precision", "F1"]
    intro = paragraph(
        "Recall: of the images of a class, the share named so. Precision: of the images named so, the share that are. "
        f"F1 is their harmonic mean.{starts_at(axis)}"
    )
    body = table(header, rows, says="Figures by class", numeric=(1, 2, 4, 5, 6))
    return PageSection("classes", "Class by class", joined([intro, body]))


def _share(value: float | None) -> str:
    """A percentage, or a dash for a share of no images."""
    return "\u2013" if value is None else wording.percent(value)
