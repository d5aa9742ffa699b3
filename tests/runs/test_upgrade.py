"""What earlier versions wrote is read in today's names."""

from __future__ import annotations

from headstart.runs.event_lines import UnknownEvent, event_of
from headstart.runs.training_events import EpochDone
from headstart.runs.upgrade import upgraded_warning
from headstart.runs.warnings import BelowProbe, GroupsUnchanged


def test_events_in_the_names_of_earlier_versions_have_today_s_types():
    old = {"event": "epoch_done", "phase": "tune", "epoch": 1, "train_loss": 0.5, "select_loss": 0.2}
    row = event_of(old | {"select_accuracy": 0.9, "rates": {"head": 1e-3}, "better": True, "seconds": 2.0}).event
    assert row == EpochDone("tune", 1, 0.5, 0.2, 0.9, {"head": 1e-3}, improved=True, seconds=2.0)
    alarm = {"event": "alarm", "alarm": "still_groups", "phase": "tune", "epoch": 2, "groups": ["stem"], "text": "..."}
    assert event_of(alarm | {"rates": {"stem": 1e-9}}).event == GroupsUnchanged("tune", 2, ("stem",), {"stem": 1e-9})
    below = {"event": "alarm", "alarm": "first_epoch_below_probe", "phase": "tune", "epoch": 1, "accuracy": 0.4}
    found = event_of(below | {"probe_accuracy": 0.9, "p_value": 0.01, "rates": {"head": 0.1}, "text": "..."}).event
    assert isinstance(found, BelowProbe)
    assert "(p = 0.01)" in found.sentence()
    for name, values in (
        ("chosen", {"weights": "probe", "why": "the only one"}),
        ("cost", {"phase": "tune", "way": "computed", "border": None, "views": 0, "why": "x"}),
        ("no_effect", {"option": "epochs", "strategy": "feature_extraction"}),
        ("strength_sample", {"phase": "probe", "images": 8, "of": 40}),
        ("engine", {"why": "as it is"}),
        ("advice", {"warning": "x"}),
        ("head", {"phase": "probe", "kept": "linear", "why": "x"}),
    ):
        assert not isinstance(event_of({"event": name, **values}).event, UnknownEvent), name


def test_warnings_were_called_alarms():
    old = {"alarm": "still_groups", "phase": "tune", "rates": {"stem": 1e-9}, "text": "stem did not change"}
    new = {"kind": "groups_unchanged", "phase": "tune", "lr": {"stem": 1e-9}, "text": "stem did not change"}
    assert upgraded_warning(old) == new
    assert upgraded_warning(new) == new
