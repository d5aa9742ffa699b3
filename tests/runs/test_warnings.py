"""Warnings of a run carry their numbers, a sentence and how much they matter."""

from __future__ import annotations

from headstart.findings import Finding
from headstart.runs.warnings import BelowProbe, DataFinding, GroupsUnchanged, OptionWithoutEffect


def test_a_warning_of_a_phase_keeps_kind_sentence_and_numbers():
    warning = GroupsUnchanged("tune", 2, ("stem", "stage1"), {"stem": 1e-12, "stage1": 1e-10})
    assert warning.urgency == "warning"
    kept = warning.to_json()
    assert (kept["kind"], kept["phase"], kept["epoch"]) == ("groups_unchanged", "tune", 2)
    assert kept["text"] == warning.sentence()
    assert kept["text"].startswith("2 groups from stem to stage1 did not change by one bit in epoch 2 of tune")


def test_learning_rates_that_were_too_large_are_named():
    said = BelowProbe("tune", 1, 0.4, 0.9, 0.01, {"head": 0.1}, "val").sentence()
    assert "accuracy 0.400 after 0.900 (val, p = 0.01)" in said
    assert "(peak learning rates: head 0.1)" in said


def test_a_finding_is_as_urgent_as_its_level():
    found = DataFinding.of(Finding("error", "twins", "2 files are the same", "remove one", (("a", "b"),)))
    assert (found.urgency, found.images) == ("error", (("a", "b"),))
    assert found.sentence() == "2 files are the same; remove one"


def test_an_option_is_named_as_the_command_line_does():
    assert OptionWithoutEffect("batch_size", "feature_extraction").sentence().startswith("--batch-size has no effect: ")
