"""Plans of comparisons of before: the same trials, in today's words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from headstart.comparison.comparison import Comparison
from headstart.comparison.grid import GridPlan, trials_of
from headstart.comparison.upgrade import upgraded_grid
from headstart.errors import PlanError

V1 = {
    "schema_version": 1,
    "what": "rates",
    "data": {"source": "photos", "report_share": 0.3, "select_share": 0.1, "validation": "held_out"},
    "base": {"strategy": "partial", "thaw": 2, "rates": "ulmfit", "selection.patience_epochs": 4},
    "vary": {
        "rate": {
            "1e-2": {
                "phases[tune].learning_rate": 1e-2,
                "phases[tune].backbone_rates": {"rule": "uniform", "top": 1e-2},
            },
            "1e-3": {
                "phases[tune].learning_rate": 1e-3,
                "phases[tune].backbone_rates": {"rule": "uniform", "top": 1e-3},
            },
        },
        "phases[0].strength": [0.1, 1.0],
        "epochs": [1, 2],
    },
    "seeds": [0, 1],
    "metric": "accuracy",
    "halving": "none",
    "missing_weights": "random",
}


def test_a_comparison_yaml_of_before_is_resumed_with_the_same_trials(tmp_path: Path):
    (tmp_path / "comparison.yaml").write_text(yaml.safe_dump(V1, sort_keys=False))
    plan = Comparison.open(tmp_path).plan()
    assert plan.what == "learning_rates"
    assert (plan.data.test_fraction, plan.data.validation_fraction, plan.data.validation) == (0.3, 0.1, "held_out")
    assert plan.base == {"strategy": "partial", "unfreeze": 2, "lr_rule": "ulmfit", "selection.patience": 4}
    first = plan.variants()[0]
    assert first.name == "1e-2, 0.1, 1"
    assert first.changes == {
        "phases[tune].head_lr": 1e-2,
        "phases[tune].backbone_lr": {"rule": "uniform", "lr": 1e-2},
        "phases[0].l2_penalty": 0.1,
        "epochs": 1,
    }
    assert trials_of(plan.variants(), plan.seeds)[0].name == "001-1e-2-0.1-1-seed0"
    (tmp_path / "again.yaml").write_text(plan.to_yaml())
    assert GridPlan.read(tmp_path / "again.yaml") == plan


def test_variants_keep_their_names_where_a_value_has_another_word(tmp_path: Path):
    vary = {"phases[0].kind": ["solve", "train"], "learning_rate": [1e-2, 1e-3]}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({"data": {"source": "x"}, "vary": vary}, sort_keys=False))
    variants = GridPlan.read(tmp_path / "grid.yaml").variants()
    assert {variant.name for variant in variants} == {"solve, 0.01", "solve, 0.001", "train, 0.01", "train, 0.001"}
    assert variants[0].changes == {"head_lr": 0.01, "phases[0].kind": "linear_probe"}


def test_options_of_the_command_line_replace_those_of_an_older_file(tmp_path: Path):
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({**V1, "vary": {"thaw": [1, 2]}, "base": {"rates": "ulmfit"}}))
    plan = GridPlan.read(tmp_path / "grid.yaml", base={"lr_rule": "bit"}, usual_base={"unfreeze": 3, "epochs": 6})
    assert (plan.base, plan.vary) == ({"lr_rule": "bit", "epochs": 6}, {"unfreeze": [1, 2]})


def test_a_file_of_today_or_of_a_newer_version_is_left_as_it_is(tmp_path: Path):
    today = {"schema_version": 2, "base": {"thaw": 1}, "vary": {"learning_rate": [1]}}
    assert upgraded_grid(today) == today
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({**V1, "schema_version": 3}))
    with pytest.raises(PlanError, match="schema_version"):
        GridPlan.read(tmp_path / "grid.yaml")


@pytest.mark.parametrize("fault", [{"vary": [1]}, {"base": "full"}, {"data": "photos"}, {"vary": {"epochs": 3}}])
def test_faults_stay_faults(fault: dict, tmp_path: Path):
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(V1 | fault))
    with pytest.raises(PlanError, match=next(iter(fault))):
        GridPlan.read(tmp_path / "grid.yaml")
