"""Kendall's tau against scipy's, and the sentences on agreement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from headstart.measures.agreement import Agreement, agreement_sentences, agreements, kendall_tau

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12)


@given(PAIRS)
def test_tau_is_scipys_and_ties_make_it_undefined_where_scipy_says_so(pairs: list[tuple[int, int]]):
    first, second = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = kendall_tau(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(kendalltau(first, second).statistic)
        assert found == kendall_tau(second, first)


def test_the_same_order_is_one_and_the_opposite_minus_one():
    assert kendall_tau([1, 2, 3, 9], [0.1, 0.2, 0.3, 0.31]) == 1
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == -1
    with pytest.raises(ValueError, match="2 and 3 scores"):
        kendall_tau([1, 2], [1, 2, 3])


RANKINGS = {
    "probe": {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0},
    "LogME": {"a": 3.0, "b": 2.0, "c": 0.0, "d": 1.0},
    "ImageNet": {"a": 1.0, "b": None, "c": 2.0, "d": 3.0},
}


def test_a_network_that_one_ranking_lacks_is_left_out_for_both():
    found = {(each.first, each.second): each for each in agreements(RANKINGS)}
    assert list(found) == [("probe", "LogME"), ("probe", "ImageNet"), ("LogME", "ImageNet")]
    assert found["probe", "LogME"].tau == pytest.approx(4 / 6)
    assert found["probe", "ImageNet"] == Agreement("probe", "ImageNet", -1, 3)
    assert found["probe", "ImageNet"].to_dict() == {"rankings": ["probe", "ImageNet"], "tau": -1, "networks": 3}


def test_the_sentences_name_the_reference_the_others_and_how_coarse_tau_is():
    first, second, third = agreement_sentences(agreements(RANKINGS), reference="probe", images=1234)
    assert first.startswith("on 1,234 images, with the order of probe")
    assert "LogME agrees (0.67)" in first
    assert "ImageNet disagrees (-1.00)" in first
    assert second == "among the others tau is -0.33 to -0.33"
    assert third == "with 4 networks one swapped pair moves tau by 0.33"


def test_two_networks_are_no_order_and_one_is_no_sentence():
    two = {name: {model: scores[model] for model in "ac"} for name, scores in RANKINGS.items()}
    assert agreement_sentences(agreements(two), reference="probe", images=64) == [
        "orders of two networks agree or not by chance: how far the scores agree takes three"
    ]
    assert agreement_sentences((), reference="probe", images=64) == []


@pytest.mark.parametrize(
    ("tau", "word"), [(None, "sees no difference (none)"), (0.3, "agrees in part (0.30)"), (0.0, "is unrelated (0.00)")]
)
def test_words(tau: float | None, word: str):
    (line, *_) = agreement_sentences([Agreement("probe", "LogME", tau, 9)], reference="probe", images=64)
    assert line.endswith(f"LogME {word}")
