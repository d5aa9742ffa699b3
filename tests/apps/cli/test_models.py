"""The command `headstart models`."""

from __future__ import annotations

import json
import subprocess

import pytest


def run(command: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, "models", *arguments], capture_output=True, text=True, check=False)


def test_the_search_of_the_readme(command: list[str]):
    asked = ("--max-params", "10M", "--min-top1", "75", "--family", "efficientnet", "--sort", "speed", "--pareto")
    done = run(command, *asked, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) >= 2
    speeds = [card["cpu_images_per_second"] for card in found]
    assert speeds == sorted(speeds, reverse=True)
    accuracies = [card["imagenet_top1"] for card in found]
    assert accuracies == sorted(accuracies)  # on the front slower means better
    assert all(c["parameters"] <= 10e6 and c["imagenet_top1"] >= 75 and c["family"] == "efficientnet" for c in found)
    text = run(command, *asked).stdout.splitlines()
    assert [line.split()[0] for line in text[3 : 3 + len(found)]] == [card["name"] for card in found]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--family", "resnets"), "no family 'resnets'; did you mean resnet"),
        (("--max-params", "ten"), "--max-params 'ten' is no count; expected such as 500k, 10M"),
        (("resnet81",), "no model 'resnet81'; did you mean"),
        (("--measure",), "models are too many to measure"),
    ],
)
def test_mistakes_are_one_line(command: list[str], arguments: tuple[str, ...], words: str):
    done = run(command, *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout


def test_commercial_leaves_only_licences_that_allow_it(command: list[str]):
    found = json.loads(run(command, "--commercial", "--library", "torchvision", "--json").stdout)
    assert {card["licence"] for card in found} == {"bsd-3-clause"}
    assert not [card["name"] for card in found if "SWAG" in card["name"]]
