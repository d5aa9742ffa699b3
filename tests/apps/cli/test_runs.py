"""`headstart runs`: tables, JSON, what is refused; never torch."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
import typer
from typer.testing import CliRunner, Result

from headstart.apps.cli import runs as door
from headstart.errors import HeadstartError
from headstart.runs.finding import RunSortKey
from headstart.runs.state import RunState
from made_runs import make_comparison, make_pretraining, make_run

app = typer.Typer()
app.command()(door.runs)


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_run(tmp_path / "first", accuracy=0.5, started="2026-11-20T08:00:00+0000")
    make_run(tmp_path / "second", accuracy=0.75, stopped="budget", seconds=3700.0, strategy="full", seed=4)
    make_run(tmp_path / "third", accuracy=None, started="2026-11-25T08:00:00+0000")
    return tmp_path


def test_one_line_a_run_the_newest_first(folder: Path):
    head, empty, *lines = ask(folder).stdout.splitlines()
    assert (head, empty) == ("3 runs, 1 finished", "")
    assert lines[-1] == f"next: headstart report {folder}/first"
    assert lines[0].split() == ["run", *door._HEADS[1:4], *door._HEADS[5:]]
    assert [Path(line.split()[0]).name for line in lines[1:4]] == ["third", "second", "first"]
    place = lines[0].index("accuracy")
    assert [line[place:].split()[0] for line in lines[1:4]] == ["-", "0.750", "0.500"]
    assert "(0.650..1.000)  100     1 h 2 min  full" in lines[2]
    assert lines[4:6] == ["", "not finished:"]
    assert "third: last written to" in lines[6]
    assert lines[7] == (
        f"  {folder}/second: stopped by the budget; it has test figures; headstart train --resume {folder}/second"
    )


def test_filters_reach_the_query(folder: Path):
    def names(*options: object) -> list[str]:
        found = json.loads(ask(folder, "--json", *options).stdout)
        return [Path(run["run"]).name for run in found["runs"]]

    assert names() == ["third", "second", "first"]
    assert names("--strategy", "full") == names("--state", "stopped") == names("--min-accuracy", 0.6) == ["second"]
    assert names("--since", "2026-11-24") == ["third", "second"]
    assert names("--sort", "accuracy") == ["second", "first", "third"]
    assert names("--sort", "seconds") == ["first", "second", "third"]
    assert names("--model", "vit") == names("--data", "cats") == []
    assert ask(folder, "--model", "vit").stdout == "none of 3 runs matches; leave out a filter\n"


def test_json_has_what_is_promised(folder: Path):
    found = json.loads(ask(folder, "--json").stdout)
    assert set(found) == {"runs", "comparisons", "damaged", "searched", "pretrainings"}
    promised = {"run", "started", "data", "strategy", "model", "state", "accuracy", "accuracy_interval", "images"}
    assert promised | {"seconds", "seed", "resume"} <= set(found["runs"][0])


def test_damaged_runs_and_comparisons_have_their_own_lines(folder: Path):
    (folder / "third" / "plan.resolved.yaml").write_text("[")
    compared = make_comparison(folder / "compared", finished=False)
    text = ask(folder).stdout
    assert f"damaged:\n  {folder}/third: plan.resolved.yaml cannot be read" in text
    line = f"{compared}: strategies, 1 of 2 trials done, chosen full (0.800, 0.700..0.900); headstart compare --resume"
    assert line in text
    assert "compared" not in ask(folder, "--strategy", "full").stdout
    only = ask(folder, "--state", "damaged").stdout
    assert only.startswith(f"damaged:\n  {folder}/third: ")
    assert "second" not in only
    assert ask(folder / "first", "--state", "damaged").stdout == "no damaged runs here\n"


def test_pretrainings_have_a_line_with_how_to_go_on(folder: Path):
    place = make_pretraining(folder / "backbone", ended="budget")
    text = ask(folder).stdout
    assert f"pretrainings:\n  {place}: stopped, tf_efficientnet_lite0:in1k on tiles, 1 of 20 epochs; stopped by" in text
    assert f"; --model tf_efficientnet_lite0:file:{place}/backbone.safetensors; headstart pretrain --resume" in text
    assert "pretrainings:" not in ask(folder, "--strategy", "full").stdout
    assert "no runs here" not in ask(place).stdout


def test_an_empty_folder_says_what_to_do(tmp_path: Path):
    assert ask(tmp_path).stdout == "no runs here; headstart train DATA makes one under runs/\n"


def test_comparing_two_runs(tmp_path: Path):
    images = {f"{index}.png": ("a", "a") for index in range(30)}
    a = make_run(tmp_path / "a", answers=images)
    b = make_run(
        tmp_path / "b", answers={**dict.fromkeys(images, ("a", "b")), "x.png": ("b", "b")}, seed=1, content="z"
    )
    text = ask("--compare", a, b).stdout
    assert text == ask("--compare", a, "--compare", b).stdout
    assert "on the 30 test images that all of them share:\n  a is better than b by 100.0 points" in text
    assert "images of a and b: which images took part is not known" in text
    assert "settings that differ:\nsetting  a  b\nseed     0  1\n" in text
    answer = json.loads(ask("--compare", a, b, "--json").stdout)
    assert (answer["pairs"][0]["verdict"], answer["settings"]) == ("a", {"seed": [0, 1]})
    three = ask("--compare", a, b, make_run(tmp_path / "c", answers=images)).stdout
    assert "pairs, on the test images that both share:" in three
    assert three.count("[30 images]") == 3


def test_runs_that_are_alike_have_no_setting_to_show(tmp_path: Path):
    places = [make_run(tmp_path / name, answers={"0.png": ("a", "a")}) for name in "ab"]
    assert ask("--compare", *places).stdout.endswith("\nno setting differs\n")


def test_options_without_effect_are_refused(folder: Path):
    both = ask(folder / "first", "--compare", folder / "second", "--strategy", "full")
    assert both.exit_code == 2
    assert "have no effect together" in both.stderr
    assert ask(folder, folder).exit_code == 2
    assert isinstance(ask(folder / "none").exception, HeadstartError)


@pytest.mark.parametrize(
    ("text", "back"), [("12h", timedelta(hours=12)), ("7d", timedelta(days=7)), ("2w", timedelta(14))]
)
def test_ages(text: str, back: timedelta):
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert door.parse_since(text, now=now) == now - back


def test_days_are_those_of_this_machine():
    assert door.parse_since("2026-11-01") == datetime(2026, 11, 1).astimezone()
    assert door.parse_since("2026-11-01T08:00+02:00") == datetime(2026, 11, 1, 6, tzinfo=UTC)
    assert door.parse_since("9999999999w").year == 1970
    for text in ("yesterday", "7x", ""):
        with pytest.raises(HeadstartError, match="is no time; expected a day such as 2026-11-01"):
            door.parse_since(text)


def test_words_are_those_of_the_store():
    assert {word.value for word in door.RunStateOption} == set(get_args(RunState))
    assert {word.value for word in door.RunSortOption} == set(get_args(RunSortKey))


def test_torch_is_never_imported(tmp_path: Path):
    images = {f"{index}.png": ("a", "a") for index in range(3)}
    places = [str(make_run(tmp_path / name, answers=images)) for name in "ab"]
    code = (
        "import sys, typer; from headstart.apps.cli.runs import runs; app = typer.Typer(); app.command()(runs)\n"
        f"app({[str(tmp_path)]!r}, standalone_mode=False); light = set(sys.modules)\n"
        f"app({['--compare', *places]!r}, standalone_mode=False)\n"
        "assert not {'torch', 'scipy', 'numpy', 'pyarrow'} & light, light\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
