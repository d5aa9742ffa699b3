"""headstart plan: YAML on stdout or in a file, equal to the plan.yaml of the training it describes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from headstart.apps.cli.main import app
from headstart.apps.cli.plan import written_text
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.presets import Request, partial

OPTIONS = ["--strategy", "partial", "--unfreeze", "1", "--epochs", "3", "--input-size", "32", "--seed", "7", "--strict"]


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["plan", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_file_is_the_plan_that_was_asked_for(image_folder: Path, tmp_path: Path):
    path = tmp_path / "plan.yaml"
    said = run(str(image_folder), *OPTIONS, "-o", str(path))
    plan = Plan.read(path)
    assert (plan.strategy, plan.input.size, plan.seed, plan.data.unreadable) == ("partial", 32, 7, "stop")
    assert (plan.phases[1].epochs, plan.phases[1].unfreeze) == (3, 1)
    assert said.splitlines()[0] == f"{path}: partial with tf_efficientnet_lite0 on {image_folder}"
    assert said.splitlines()[-1] == f"next: headstart train --plan {path}"


def test_without_a_file_stdout_is_the_plan_and_json_holds_it(image_folder: Path):
    plan = Plan.from_dict(yaml.safe_load(run(str(image_folder), *OPTIONS)))
    answer = json.loads(run(str(image_folder), *OPTIONS, "--json"))
    assert Plan.from_dict(answer["plan"]) == plan
    assert answer["plan_file"] is None


def test_a_file_that_cannot_be_written_is_one_line(image_folder: Path, tmp_path: Path):
    from headstart.errors import HeadstartError

    with pytest.raises(HeadstartError, match="choose another -o"):
        run(str(image_folder), "-o", str(tmp_path / "not" / "there.yaml"))


def test_phases_are_told_in_words():
    plan = partial(Request(DataPlan(source="photos"), unfreeze=3, epochs=2))
    text = written_text(plan, Path("my plan.yaml"))
    assert "probe: the linear probe" in text
    assert "tune: 2 epochs of the head and 3 groups" in text
    assert "--plan 'my plan.yaml'" in text


SCHEMA_1 = Path(__file__).parents[2] / "plan" / "schema_1"


def test_upgrade_writes_a_plan_of_version_1_with_the_keys_of_today(tmp_path: Path):
    old, new = SCHEMA_1 / "partial.yaml", tmp_path / "new.yaml"
    assert run("upgrade", str(old), "-o", str(new)).splitlines()[0] == (
        f"{new}: partial with tf_efficientnet_lite0 on photos"
    )
    raw = yaml.safe_load(new.read_text(encoding="utf-8"))
    assert (raw["schema_version"], raw["phases"][1]["unfreeze"]) == (2, 2)
    assert "thaw" not in raw["phases"][1]
    assert Plan.read(new) == Plan.read(old)
    assert Plan.from_dict(yaml.safe_load(run("upgrade", str(new)))) == Plan.read(old), "a new one stays as it is"


def test_only_upgrade_takes_a_file_and_no_option_of_training(image_folder: Path):
    for words, said in (
        ([str(image_folder), "x.yaml"], "only `upgrade` takes a second word"),
        (["upgrade", str(SCHEMA_1 / "full.yaml"), "--epochs", "3"], "--epochs has no effect"),
    ):
        done = CliRunner().invoke(app, ["plan", *words])
        assert done.exit_code == 2
        assert said in done.output


def test_a_folder_named_upgrade_is_data(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "upgrade").symlink_to(image_folder)
    monkeypatch.chdir(tmp_path)
    for name in ("upgrade", "./upgrade"):
        assert Plan.from_dict(yaml.safe_load(run(name, "--input-size", "32"))).data.source == name
