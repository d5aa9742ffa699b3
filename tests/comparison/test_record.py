"""The record of a comparison: written and read back, and what is said of a damaged file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headstart.comparison.record import ComparisonRecord, read_comparison_record
from headstart.comparison.rounds import TrialSchedule
from headstart.comparison.summary import comparison_result
from headstart.errors import RunError
from trial_folders import comparison_of, write_trial

RATES = {"learning_rate": {name: {"phases[tune].head_lr": float(name)} for name in ("1e-3", "1e-1")}}


def record_of(folder: Path, **values: Any) -> ComparisonRecord:
    """Of two variants in two seeds, one trial to come."""
    comparison, trials = comparison_of(folder, **values)
    for trial in trials[:3]:
        correct = [True] * (40 + 5 * (trial.number % 2)) + [False] * 10
        write_trial(comparison, trial, test=correct, validation=correct, epochs=[correct])
    record = comparison_result(comparison, TrialSchedule(tuple(trials), {}, 0))
    comparison.write_result(record)
    return record


@pytest.mark.parametrize("values", [{}, {"what": "learning_rates", "vary": RATES}, {"metric": "log_loss"}])
def test_what_is_written_is_read_back(tmp_path: Path, values: dict[str, Any]):
    record = record_of(tmp_path / "c", **values)
    assert read_comparison_record(tmp_path / "c") == record
    assert json.loads((tmp_path / "c" / "comparison.json").read_text()) == record.to_dict()


def test_the_keys_of_the_file_are_these(tmp_path: Path):
    """They are a contract with every script that reads comparison.json."""
    values = record_of(tmp_path / "c").to_dict()
    assert list(values) == [
        *("kind", "schema_version", "comparison", "what", "finished", "metric", "seeds", "halving", "data", "trials"),
        *("trials_to_come", "variants", "pairs", "entries", "chosen", "pareto", "seconds", "folds", "environment"),
        *("written", "command", "resume", "why_resume"),
    ]
    trial = [
        *("trial", "run", "variant", "seed", "rung", "state", "fold", "accuracy_status"),
        *(
            "test_accuracy",
            "validation_accuracy",
            "seconds",
            "peak_memory_bytes",
            "resumed",
            "error",
            "selected_checkpoint",
        ),
    ]
    done, *_, to_come = values["trials"]
    assert list(done) == trial
    assert list(to_come) == trial[:-1], "no checkpoint was selected"
    assert list(values["variants"][0]) == [
        *("name", "changes", "strategy", "model", "weights", "seeds_done", "selected_probe", "validation_method"),
        *("accuracy_status", "test", "validation", "seconds", "peak_memory_bytes", "parameters", "flops", "inference"),
        *("learning_rate_label", "dropped_at", "weights_missing", "errors", "same_model_as"),
    ]
    assert list(values["entries"][0]) == ["variant", "same_model", "why"]
    assert list(values["pareto"]) == ["minutes", "inference"]
    assert list(values["chosen"]) == [*("variant", "on", "why", "tied_with", "headline", "best", "not_ranked", "test")]
    assert (values["variants"][0]["selected_probe"], values["seeds"]) == ({"seeds": 0, "of": 2}, [0, 1])


def test_variants_and_pairs_are_found_by_name_and_role(tmp_path: Path):
    record = record_of(tmp_path / "c")
    assert record.variant("two") is record.variants[1]
    assert record.variant("never") is None
    assert [pair.on for pair in record.pairs_on("test")] == ["test"]
    assert record.folder == tmp_path / "c"
    assert record.started == record.environment.started
    assert (record.variants[0].mean_seconds, record.variants[0].stable_throughput) == (10.0, None)


def change(folder: Path, **values: object) -> None:
    path = folder / "comparison.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_a_file_that_cannot_be_read_is_an_error_in_one_line_with_the_way_out(tmp_path: Path):
    folder = tmp_path / "c"
    variants = record_of(folder).to_dict()["variants"]

    def refused(match: str) -> None:
        with pytest.raises(RunError, match=match) as raised:
            read_comparison_record(folder)
        assert "\n" not in str(raised.value)

    way_out = f"expected the file as headstart compare wrote it; it is rewritten by: .*--resume {folder}"
    change(folder, seeds=["many"], metric="luck")
    refused(rf"damaged: metric: 'luck' must be 'accuracy', .*; seeds\[0\]: 'many': input should be .*; {way_out}")
    change(folder, metric="accuracy", seeds=[0], variants=[{"name": "one"}])
    refused(
        r"damaged: variants\[0\].changes: is missing; variants\[0\].strategy: is missing; .*; and 13 more; expected"
    )
    change(folder, variants=[{k: v for k, v in variants[0].items() if k != "test"}])
    refused(r"damaged: variants\[0\].test: is missing; expected")
    change(folder, schema_version=1)
    refused(rf"schema version 1; expected 2; it is rewritten by: .*--resume {folder}")
    change(folder, schema_version=3)
    refused("schema version 3; expected 2; pip install --upgrade")
    (folder / "comparison.json").write_text('{"kind": "comparison", "schema_version": 2}', encoding="utf-8")
    refused("damaged: comparison: is missing; what: is missing; .*; and 10 more; expected")
    (folder / "comparison.json").write_text("[]", encoding="utf-8")
    refused("is not the result of a comparison")
    (folder / "comparison.json").write_text("{", encoding="utf-8")
    refused("cannot be read")
    (folder / "comparison.json").unlink()
    refused(rf"has no comparison\.json yet; .*resume it with: headstart compare --resume {folder}")
