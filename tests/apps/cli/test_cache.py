"""The command `headstart cache`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from headstart.apps.cli.cache import age_text, cache, parse_bytes
from headstart.engine.store import limit
from headstart.engine.store.shards import Tensor
from headstart.engine.store.store import EVALUATION, ActivationStore, Space, SpaceKey, image_digest, row_ids
from headstart.errors import HeadstartError
from headstart.input_spec import InputSpec

KEY = SpaceKey("net:tag", "ab", "layer3", InputSpec(64, 64, "bilinear", (0.5,), (0.5,)), "1", "torch", "2.9")

app = typer.Typer()
app.command()(cache)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    return tmp_path


def fill(rows: int = 1000, model: str = "net:tag") -> Space:
    space = ActivationStore().space(SpaceKey(**{**values(KEY), "model": model}), (Tensor((1000,)),))
    with space.writer() as writer:
        ids = row_ids([image_digest(number.to_bytes(4, "little")) for number in range(rows)], EVALUATION)
        writer.add(ids, (np.ones((rows, 1000), np.float32),))
    return space


def values(key: SpaceKey) -> dict[str, object]:
    return {name: getattr(key, name) for name in key.__dataclass_fields__}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_an_empty_store_says_so(home: Path):
    done = run()
    assert done.exit_code == 0
    assert "the activation cache is empty" in done.stdout
    assert str(home / "store") in done.stdout
    assert "the default; headstart cache --limit" in done.stdout


def test_the_table_has_a_line_for_each_space_and_the_sums(monkeypatch: pytest.MonkeyPatch):
    # The disk belongs to other processes too: what is free on it may change between the two calls.
    monkeypatch.setattr(limit, "free_bytes", lambda _root: 54 * 10**9)
    fill(model="net:tag")
    space = fill(model="a_longer_name:tag")
    done = run("--show")
    assert done.stdout == run().stdout
    lines = done.stdout.splitlines()
    assert lines[0].startswith("4.03 MB in ")
    assert "54 GB free" in done.stdout
    assert lines[4].split() == ["model", "cut", "point", "input", "views", "precision", "rows", "size", "last", "used"]
    rows = {line.split()[0]: line for line in lines[5:7]}
    assert rows["net:tag"].split()[1:] == [
        "layer3",
        "64",
        "evaluation",
        "float16",
        "1,000",
        "2.02",
        "MB",
        "just",
        "now",
    ]
    assert rows["a_longer_name:tag"].endswith("in use")
    assert space.rows == 1000


def test_clear_prints_what_was_freed():
    fill()
    fill(model="other:tag")
    assert json.loads(run("--clear", "--model", "net", "--json").stdout)["freed_bytes"] > 2e6
    held = fill(model="held:tag")
    done = run("--clear")
    assert "other:tag" in done.stdout
    assert "not removed: held:tag, which a running process uses" in done.stdout
    assert done.stdout.splitlines()[-1] == "2.02 MB freed"
    assert held.rows == 1000


def test_limit_is_set_and_shown(home: Path):
    fill(model="old:tag")
    held = fill(model="held:tag")
    done = run("--limit", "1MB")
    lines = done.stdout.splitlines()
    assert lines[1].startswith("old:tag")
    assert lines[2:5] == ["limit 1 MB", "2.02 MB freed", "2.02 MB stored"]
    assert "over the limit: running processes use them" in lines[5]
    assert json.loads((home / "store" / "limit.json").read_text()) == {"bytes": 10**6}
    assert "limit 1 MB\n" in run().stdout
    assert json.loads(run("--json").stdout)["limit_bytes"] == 10**6
    assert held.rows == 1000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--show", "--clear"), "--show and --clear"),
        (("--clear", "--limit", "1GB"), "--clear and --limit"),
        (("--model", "net"), "only with --clear"),
    ],
)
def test_options_that_would_do_nothing_are_refused(arguments: tuple[str, ...], words: str):
    done = run(*arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("text", "count"),
    [("20GB", 20e9), ("500 mb", 5e8), ("1.5TB", 1.5e12), ("2GiB", 2 * 2**30), ("7kB", 7000), ("1 KiB", 1024)],
)
def test_sizes_as_people_type_them(text: str, count: float):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["20", "GB", "-1GB", "20 gigs", ""])
def test_what_is_no_size_is_refused_with_an_example(text: str):
    with pytest.raises(HeadstartError, match="is no size; expected such as 20GB"):
        parse_bytes(text)


def test_ages_as_people_read_them():
    ages = [age_text(seconds) for seconds in (-5, 0, 61, 7200, 90_000, 200_000)]
    assert ages == ["just now", "just now", "1 minute ago", "2 hours ago", "1 day ago", "2 days ago"]


def test_the_command_never_imports_torch():
    code = "import typer, sys; from headstart.apps.cli.cache import cache; cache(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
