"""The words of the glossary: one idea has one word, and it is the field's word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import glossary
from glossary import Place, files, places, words_in, words_in_name


def rows() -> list[list[str]]:
    """Cells of the first table of the glossary."""
    page = glossary.GLOSSARY.read_text(encoding="utf-8").partition("## Words")[2].partition("\n## ")[0]
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r" ?\| ?", line)[1:-1]] for line in lines[1:]]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.as_posix())
def test_a_file_uses_the_words_of_the_glossary(path: Path):
    assert [str(place) for place in places([path])] == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_the_page_and_the_patterns_say_the_same(row: list[str]):
    _, say, instead = row
    assert not list(words_in(say))
    for phrase in filter(None, instead.split(", ")):
        assert [*words_in(phrase), *words_in_name(phrase)], f"no pattern finds {phrase!r}"


def test_the_page_has_every_row():
    assert len(rows()) >= 28


@pytest.mark.parametrize(
    "sentence",
    [
        "the rest of the network, and the rest is frozen",
        "an error rate of 0.1, a false alarm rate and the learning rate; at a rate of 3 images",
        "the border of an image, border pixels, border-radius: 2px, border: 1px",
        "it answers the question; the answer to your question",
        "apart from that, they can be told apart, 3 points apart",
        "the images are kept in memory, kept together, besides",
        "this looks like a photo, which looks right",
        "$2 price per hour, the arithmetic mean",
        "best at a glance",
        "a way out, in this way",
        "the model learns from few images",
    ],
)
def test_ordinary_meanings_may_stay(sentence: str):
    assert list(words_in(sentence)) == []


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("What rests computes nothing", "rests"),
        ("accuracy of the `select` images", "select images"),
        ("peak_rates of the plan", "rates"),
        ("--thaw 3", "thaw"),
        ("Layer-wise rates that decay", "rates"),
        ("The ANSWER of train", "ANSWER"),
        ("the head is first solved on features", "head is first solved"),
    ],
)
def test_replaced_words_are_found_in_sentences(sentence: str, word: str):
    assert word in [found for found, _ in words_in(sentence)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("KeptRows", ["Kept Rows".lower()]),
        ("assert_rates", ["rates"]),
        ("learning_rates", []),
        ("EngineWish", ["wish"]),
        ("FrozenPartPlan", []),
        ("TrainingAnswer", ["answer"]),
        ("moved", ["moved"]),
        ("moved_check", []),
        ("keep_way", ["way"]),
        ("always", []),
    ],
)
def test_replaced_words_are_found_in_names(name: str, words: list[str]):
    assert [word.lower() for word, _ in words_in_name(name)] == words


def test_what_a_module_says_and_names_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(glossary, "ROOT", tmp_path)
    (tmp_path / "kept.py").write_text(
        '"""What rests.\n\nMore that rests."""\n'
        "# a comment that rests\n"
        "_wish = 1\n"
        "Wish = 2\n"
        "class State:\n"
        '    """A state."""\n'
        "    answer: int\n"
        "    def f(self):\n"
        "        settled = 1\n"
        "        raise ValueError(f\"{settled} images were judged; 'rate'\")\n"
        'KEYS = ["peak_rates", "settled 100%", "#judged"]\n'
    )
    found = [(place.line, place.word) for place in glossary.places_in_module(Path("kept.py"))]
    names = [(1, "kept"), (6, "wish"), (9, "answer")]
    texts = [(1, "rests"), (12, "judged"), (12, "rate"), (13, "rates"), (13, "settled")]
    assert sorted(found) == sorted([*names, *texts])


def test_a_place_says_where_and_what_instead():
    assert str(Place(Path("a/b.py"), 3, "rests", "frozen")) == "a/b.py:3: 'rests': say frozen"
