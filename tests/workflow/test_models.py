"""models: searching and showing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import timm
import torchvision.models

from headstart.apps.cli.text.cards import card_text, cards_text
from headstart.errors import ModelError
from headstart.networks.cards.finding import find_model
from headstart.networks.cards.search import ModelQuery
from headstart.workflow import models
from headstart.workflow.models import ListedModel, MeasuredThroughput


def test_the_list_holds_every_weight_of_both_libraries():
    weights = sum(
        len(torchvision.models.get_model_weights(name))
        for name in torchvision.models.list_models(module=torchvision.models)
    )
    assert len(models.list_models(ModelQuery())) == weights + len(timm.list_models(pretrained=True))


def test_a_card_comes_with_lines_that_work():
    answer = models.show_model("resnet50:a1_in1k")
    assert "resnet50:IMAGENET1K_V2" in answer.other_weights
    assert answer.usage["timm"] == 'timm.create_model("resnet50.a1_in1k", pretrained=True)'
    assert answer.usage["command line"] == "headstart train DATA --model resnet50:a1_in1k"
    torchvisions = models.show_model("resnet50").usage["torchvision"]
    assert torchvisions == 'torchvision.models.get_model("resnet50", weights="IMAGENET1K_V2")'
    usage = models.usage_of(find_model("resnet18").card)["headstart"]
    assert usage == 'headstart.train("DATA", model="resnet18:IMAGENET1K_V1")'


def test_the_usage_says_what_a_licence_or_missing_weights_need():
    assert models.show_model("vit_b_16:IMAGENET1K_SWAG_E2E_V1").usage["command line"].endswith("--allow-noncommercial")
    assert models.show_model("nfnet_f0").usage["command line"].endswith("--model timm/nfnet_f0 --strategy scratch")


def test_too_many_to_measure_are_refused():
    with pytest.raises(ModelError, match=r"models are too many to measure; expected at most 60; narrow the search"):
        models.list_models(ModelQuery(family="resnet"), measure=True)


def test_measured_speeds_decide_limits_order_and_front(monkeypatch: pytest.MonkeyPatch):
    from headstart.engine.costs import throughput

    monkeypatch.setattr(
        throughput, "measured_throughputs", lambda cards, **_: {c.name: 1e9 / c.parameters for c in cards}
    )
    query = ModelQuery(family="squeezenet", sort="speed", min_speed=805)
    found = models.list_models(query, measure=True)
    assert [model.card.architecture for model in found] == ["squeezenet1_1"]
    assert found[0].to_dict()["measured_images_per_second"] > 805


def test_a_speed_that_is_not_stable_has_its_range(monkeypatch: pytest.MonkeyPatch):
    from headstart.engine.costs import throughput

    def measured(cards: Any, *, on_card: Any, on_unstable: Any) -> dict[str, float]:
        on_unstable(cards[0].name, (0.493, 12.048))
        return {card.name: 1.0 for card in cards}

    monkeypatch.setattr(throughput, "measured_throughputs", measured)
    one = models.show_model("timm/test_vit", measure=True)
    raw = one.to_dict()
    assert (raw["measured_images_per_second"], raw["measured_unstable"]) == (1.0, [0.49, 12.05])
    assert "unstable: 0.49 to 12.05 img/s on this machine, which was busy; measure again" in card_text(one)
    assert "unstable" in cards_text([one.listed])
    steady = replace(one, listed=ListedModel(one.listed.card, MeasuredThroughput(1.0)))
    assert "measured_unstable" not in steady.to_dict()
    assert "unstable" not in card_text(steady) + cards_text([steady.listed])


def test_cards_are_found_by_a_query_or_a_name():
    found, measured = models.find_cards(ModelQuery(family="resnet", max_params=12e6), speed="published")
    assert [card.name for card in found] == [
        model.card.name for model in models.list_models(ModelQuery(family="resnet", max_params=12e6))
    ]
    assert measured == {}
    assert [card.name for card in models.find_cards("resnet18", speed="published")[0]] == ["resnet18:IMAGENET1K_V1"]


def test_timed_cards_are_ordered_by_what_was_measured(monkeypatch: pytest.MonkeyPatch):
    names = [
        card.name for card in models.find_cards(ModelQuery(family="resnet", max_params=12e6), speed="published")[0]
    ]
    speeds = models._Speeds({name: float(place) for place, name in enumerate(names[:-1])}, {names[-1]: (1.0, 9.0)})
    monkeypatch.setattr(models, "_measured", lambda cards, progress: speeds)
    query = ModelQuery(family="resnet", max_params=12e6, sort="speed")
    found, measured = models.find_cards(query, speed="measured")
    assert [card.name for card in found] == [*names[-2::-1], names[-1]]
    assert measured[names[-1]] is None
