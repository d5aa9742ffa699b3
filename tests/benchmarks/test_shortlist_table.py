"""Regret and agreement of a shortlist with the truth, as the guide shows them."""

from __future__ import annotations

import pytest
from shortlist_table import regret, section

NETWORKS = ("a", "b", "c")
TRUTH = {"a": "1" * 80 + "0" * 20, "b": "1" * 70 + "0" * 30, "c": "0" * 50 + "1" * 50}


def test_regret_is_what_the_best_has_more_with_a_paired_interval():
    assert regret(["a"], TRUTH) == (0.0, 0.0, 0.0)
    assert regret(["b", "a"], TRUTH) == (0.0, 0.0, 0.0)
    gap, low, high = regret(["b"], TRUTH)
    assert gap == pytest.approx(0.1)
    assert 0 < low < gap < high
    assert regret(["c", "b"], TRUTH)[0] == pytest.approx(0.1)
    _, low, high = regret(["c"], TRUTH)
    assert high - low > 0.2  # they err on other images, so less is known
    with pytest.raises(ValueError, match="d was not trained; there are a, b, c"):
        regret(["d"], TRUTH)


def rows() -> list[dict[str, object]]:
    found: list[dict[str, object]] = [
        {"what": "truth", "strategy": "full", "set": "ants", "model": model, "right": right}
        for model, right in TRUTH.items()
    ]
    found.append({"what": "truth", "strategy": "full", "set": "bees", "model": "a", "right": "10"})
    keys = ("log_loss", "logme", "h_score", "knn_accuracy", "imagenet_top1")
    scores = {"a": (0.5, 1.0, 1.0, 0.9, 70.0), "b": (0.4, 0.5, 0.5, 0.8, 75.0), "c": (0.9, 0.1, 0.1, 0.7, None)}
    by_score = {model: dict(zip(keys, values, strict=True)) for model, values in scores.items()}
    for length, ranking in ((1, ["b", "a", "c"]), (4, ["b", "a", "c"])):
        found.append({"what": "shortlist", "set": "ants", "length": length, "ranking": ranking, "scores": by_score})
    return found


def test_a_section_shows_truth_picks_and_what_chance_would_cost():
    text = section(rows(), strategy="full", sets=("ants", "bees", "wasps"), networks=NETWORKS)
    lines = text.splitlines()
    assert "| ants | 100 | 80.0 (71.1..86.7) | 70.0 (60.4..78.1) | 50.0 (40.4..59.6) |" in lines
    assert any(line.startswith("| bees | 2 | 50.0") and line.endswith("| not run | not run |") for line in lines)
    assert not any("wasps" in line for line in lines)
    table = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}
    assert table["shortlist"].startswith("| shortlist | b 10.0 (")
    assert table["shortlist"].endswith("; 0 | 10.0 | 0 | 0.33 |")
    assert table["LogME"] == "| LogME | a 0; 0 | 0 | 0 | 1.00 |"
    assert table["chance"] == "| chance | 13.3 | 13.3 | | 0 |"
    assert table["the first of the shortlist and of ImageNet"].startswith(
        "| the first of the shortlist and of ImageNet | b, b; 10.0"
    )


def test_nothing_trained_is_no_section_and_no_shortlist_no_regret():
    assert section(rows(), strategy="gradual", sets=("ants",), networks=NETWORKS) == ""
    only = [row for row in rows() if row["what"] == "truth"]
    assert "Regret" not in section(only, strategy="full", sets=("ants",), networks=NETWORKS)
