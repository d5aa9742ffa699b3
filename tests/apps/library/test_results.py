"""Results of the library verbs: what their attributes say, and one short line as repr."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import headstart
from headstart.apps.library.results import CompareResult, ModelList
from headstart.networks.backbone import Classifier
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.layers import LayerGroup
from headstart.reports.comparison.facts import read_comparison_facts
from headstart.workflow.reporting import Report
from report_folders import make_comparison, make_run


def test_a_comparison_says_what_to_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from headstart.workflow import reporting

    runs = {name: [make_run(tmp_path / name)] for name in ("full", "partial")}
    record = read_comparison_facts(make_comparison(tmp_path / "c", runs)).record
    choice = replace(record.chosen, headline="full and partial tie")
    record = replace(record, comparison="comparisons/x", chosen=choice, variants=record.variants[:1])
    found = CompareResult(record)
    assert (found.chosen, found.tied_with, found.headline) == ("full", ("partial",), "full and partial tie")
    assert (found.variants[0].name, found.pairs[0].sentence) == ("full", "full and partial: tie.")
    assert found.to_dict() == record.to_dict()
    assert repr(found) == "CompareResult(full and partial tie; 1 variant, comparisons/x)"
    asked: list[Any] = []
    monkeypatch.setattr(reporting, "report", lambda folders, out: asked.append((folders, out)) or ["page"])
    assert found.report("r.html") == "page"
    assert asked == [([Path("comparisons/x")], Path("r.html"))]
    nothing = CompareResult(replace(record, chosen=None))
    assert (nothing.chosen, nothing.tied_with) == (None, ())
    assert "no accuracy was measured" in repr(nothing)


def test_a_list_of_networks_is_a_sequence_with_a_short_repr():
    cards = tuple(find_model(name).card for name in ("resnet18", "resnet34", "resnet50", "resnet101"))
    found = ModelList(cards, {cards[0].name: 9.5})
    assert (found[0], found[-1], len(found)) == (cards[0], cards[3], 4)
    assert found[1:].names == [card.name for card in cards[1:]]
    assert found[:1].measured == {cards[0].name: 9.5}
    assert repr(found).startswith("ModelList(4 networks: resnet18:IMAGENET1K_V1, resnet34")
    assert repr(found).endswith(", ...)")
    assert repr(ModelList(())) == "ModelList(0 networks)"


def short(shown: object, *words: str) -> bool:
    """Whether a repr is one line with these words, and not a page."""
    text = repr(shown)
    return len(text) < 200 and "\n" not in text and all(word in text for word in words)


def test_a_request_shows_what_was_asked_of_it():
    assert repr(headstart.Request("photos")) == "Request('photos')"  # type: ignore[arg-type]
    part = headstart.DataPlan(source="photos", val="held")
    request = headstart.Request(part, strategy="full", epochs=3, seed=0)
    assert repr(request) == "Request(DataPlan(source='photos', val='held'), strategy='full', epochs=3)"
    assert headstart.Request(Path("photos")) == headstart.Request(headstart.DataPlan(source="photos"))  # type: ignore[arg-type]


PUBLIC = [one for name in headstart.__all__ if isinstance(one := getattr(headstart, name), type)]


@pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.__name__)
def test_no_public_class_prints_all_its_fields(public: type):
    """The repr that dataclasses make of a result is a page long."""
    assert public.__repr__ is not object.__repr__
    if not issubclass(public, Exception):
        assert inspect.unwrap(public.__repr__).__code__.co_filename != "<string>"


def test_what_is_made_without_training_is_one_short_line():
    advice = headstart.advise(images=800, similarity="high", cores=2, gpu="none")
    assert short(advice, "feature_extraction", "800 images")
    assert short(advice.plan, "feature_extraction", "probe")
    plan = headstart.full(headstart.Request(headstart.DataPlan(source="photos"), epochs=7))
    assert short(plan, "Plan(full with ", " on photos: ", "(7 epochs)")
    assert repr(headstart.DataPlan(source="photos", bits=12)) == "DataPlan(source='photos', bits=12)"
    grid = headstart.question("strategies", "photos", [], seeds=[0, 1])
    assert short(grid, "strategies on photos", "5 of strategy", "2 seeds")
    assert repr(headstart.Run(Path("runs/x"))) == "Run(runs/x)"
    assert short(headstart.HeadstartClassifier(epochs=3), "epochs=3")
    card = find_model("resnet18").card
    assert repr(card) == "ModelCard(resnet18:IMAGENET1K_V1: 11.7M parameters, ImageNet top-1 69.8 %, 224 px)"
    assert repr(find_model("resnet18")) == "ModelChoice(resnet18:IMAGENET1K_V1)"
    page = Report(Path("runs/x"), "run", Path("runs/x/report.html"), size_bytes=52_000)
    assert repr(page) == "Report(run runs/x: runs/x/report.html, 52 kB)"
    groups = (LayerGroup("stem", ("conv1",)), LayerGroup("head", ("fc",)))
    network = Classifier(nn.Identity(), card, groups, (), (), "linear", num_classes=3)
    assert repr(network) == "Classifier(resnet18:IMAGENET1K_V1, 3 classes, linear head, 2 layer groups)"
    rows = np.zeros((3, 1280), np.float32)
    found = headstart.Embedding(rows, ("a",) * 3, ("b",) * 3, ("all",) * 3, rows[:0], "resnet18", "pooled")
    assert repr(found) == "Embedding(3 images x 1,280 features, resnet18, pooled)"
