"""JSON and lines on stdout."""

from __future__ import annotations

import json
import math

import pytest

from headstart.apps.printing import WIDTH, json_text, wrapped


def test_json_keeps_letters_and_refuses_what_is_no_number():
    answer = {"class": "Käfer", "accuracy": 0.5}
    assert json.loads(json_text(answer)) == answer
    assert "Käfer" in json_text(answer)
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"loss": math.nan})


def test_lines_fit_and_names_stay_whole():
    name = "vit_base_patch16_224.augreg-in21k-ft-in1k"
    lines = wrapped(f"{'word ' * 60}{name} {name}", first="  ", rest="    ").splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].startswith("  word")
    assert all(line.startswith("    ") for line in lines[1:])
    assert " ".join(lines).count(name) == 2
    assert wrapped("x" * 200) == "x" * 200
