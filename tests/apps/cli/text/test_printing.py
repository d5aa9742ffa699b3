"""JSON and lines on stdout."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from dataclasses import replace

import pytest

from headstart.apps.cli.text.printing import (
    NAME_WIDTH,
    WIDTH,
    json_text,
    left_out_lines,
    show_text,
    view_text,
    visible,
    visible_name,
    without_prediction,
    wrapped,
)
from headstart.input_spec import CutShares, ViewFacts


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


def test_json_is_json_whatever_a_name_holds(monkeypatch: pytest.MonkeyPatch):
    raw = b"caf\xe9 \xe2\x80\xae \xf0\x9f\x90\x9c\x1b\x7f\n"
    for encoding in ("utf-8", "latin-1", "ascii"):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
        monkeypatch.setattr(sys, "stdout", stdout)
        show_text(json_text({"file": os.fsdecode(raw)}))
        stdout.flush()
        written = stdout.buffer.getvalue()  # type: ignore[attr-defined]
        assert os.fsencode(json.loads(written.decode("utf-8"))["file"]) == raw, encoding
        assert b"\x1b" not in written


def test_what_cannot_be_seen_is_escaped_and_what_can_is_not():
    assert visible("a\nb\x1b[31m\u202e\udce9") == "a\nb\\u001b[31m\\u202e\\udce9"
    assert visible_name("new\nline\ttab\r") == "new\\nline\\ttab\\r"
    seen = "Käfer \U0001f41c 日本語 back\\slash %s {x} <b>"
    assert visible_name(seen) == visible(seen) == seen


def test_a_long_name_keeps_its_ends():
    name = "a" * 100 + "z" * 100
    short = visible_name(name, width=NAME_WIDTH)
    assert len(short) == NAME_WIDTH
    assert (short[:10], short[-10:]) == ("a" * 10, "z" * 10)
    assert "..." in short
    assert visible_name("x" * NAME_WIDTH, width=NAME_WIDTH) == "x" * NAME_WIDTH


def test_files_left_out_are_named_and_counted_by_reason():
    left_out = {f"{i}.txt": "no image (.txt)" if i < 7 else "does not exist" for i in range(10)}
    lines = left_out_lines(left_out)
    assert lines[:5] == [f"left out {i}.txt: no image (.txt)" for i in range(5)]
    assert lines[5:] == ["left out 5 more: 3 does not exist, 2 no image (.txt) (--json names all)"]
    assert left_out_lines({}) == []
    rows = without_prediction(left_out)
    assert [row["file"] for row in rows] == list(left_out)
    assert rows[0]["label"] is rows[0]["probabilities"] is None
    assert rows[9]["error"] == "does not exist"


def test_what_is_cut_off_is_said_in_percent_and_never_all_of_it():
    view = ViewFacts(224, "crop", None, CutShares(0.424, 0.9997))
    assert view_text(view) == "input 224 px (crop): 42 % of the median image is cut off, 99 % at most"
    squashed = ViewFacts(224, "squash", None, CutShares(0.0, 0.0))
    assert view_text(squashed) == "input 224 px (squash): the whole image"
    assert view_text(replace(squashed, cut=None)) == "input 224 px (squash)"
