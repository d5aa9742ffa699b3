"""The command `headstart web`, and that library, command line and pages answer alike."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest
import yaml
from typer.testing import CliRunner

from headstart.apps.cli.main import app
from headstart.apps.pages import compare_page, decide_page
from headstart.networks.cards.search import ModelQuery
from headstart.plan.plan import Plan
from headstart.workflow.advising import advise
from headstart.workflow.models import list_models
from page_text import first_values, parsed

QUESTIONS: tuple[dict[str, str], ...] = (
    {"images": "50", "similarity": "high", "classes": "10"},
    {"images": "500", "domain": "medical", "channels": "1"},
    {"images": "8000", "domain": "medical"},
    {"images": "2000", "similarity": "high"},
    {"images": "4900", "similarity": "high", "resolution": "64"},
    {"images": "1500", "similarity": "medium"},
    {"images": "300", "similarity": "low"},
    {"images": "1500"},
    {"images": "20000", "similarity": "high"},
    {"images": "45000", "similarity": "high", "resolution": "32"},
    {"images": "20000", "similarity": "high", "budget": "1m"},
    {"images": "20000", "similarity": "low", "gpu": "one"},
    {"images": "200000", "similarity": "high", "gpu": "one", "budget": "unlimited"},
    {"images": "200000", "similarity": "low"},
    {"images": "3000", "domain": "satellite"},
    {"images": "20000", "domain": "satellite", "channels": "13"},
    {"images": "1000", "domain": "document", "cores": "16"},
    {"images": "30000", "domain": "document", "classes": "16", "budget": "4h"},
    {"images": "500", "domain": "document", "unlabelled": "200000"},
    {"images": "150000", "similarity": "low", "budget": "unlimited", "cores": "", "gpu": "auto"},
)
"""What the fields of the form hold beside their first values."""

SEARCHES: tuple[dict[str, str], ...] = (
    {},
    {"family": "efficientnet", "parameters": "10M", "sort": "speed"},
    {"library": "torchvision", "sort": "parameters"},
    {"licence": "allowed", "contains": "convnext", "sort": "gmacs"},
    {"front": "pareto", "cost": "speed", "sort": "speed", "sizes": "any"},
    {"front": "pareto", "cost": "gmacs", "sort": "gmacs", "licence": "allowed"},
)


def from_command(line: str) -> object:
    """What the command prints as JSON, called as the shell would."""
    program, *arguments = shlex.split(line)
    assert program == "headstart"
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_there_are_twenty_questions():
    assert len(QUESTIONS) == 20
    assert len({decide_page.Question.from_fields(form(said)).command() for said in QUESTIONS}) == 20


def form(said: dict[str, str]) -> dict[str, str]:
    return {**first_values(decide_page.FIELDS), "cores": "2", "gpu": "none", **said}


@pytest.mark.parametrize("said", QUESTIONS, ids=lambda said: " ".join(said.values()))
def test_library_command_and_page_give_the_same_advice(said: dict[str, str]):
    page = parsed(decide_page.page(form(said)))
    command = from_command(page.text_of(id="advise-command"))
    number = {
        name: int(said[name]) for name in ("images", "classes", "unlabelled", "channels", "resolution") if name in said
    }
    budgets = {"1m": 60.0, "4h": 14_400.0, "unlimited": float("inf")}
    library = advise(
        **number,
        domain=said.get("domain", "photo"),
        similarity=said.get("similarity"),
        budget_seconds=budgets.get(said.get("budget", "")),
        cores=int(said.get("cores", "2")) if said.get("cores", "2") else None,
        gpu=said.get("gpu", "none"),
    )
    assert page.text_of(data_strategy=library.strategy) == decide_page.named(library.strategy)
    assert Plan.from_dict(yaml.safe_load(page.text_of(id="plan-yaml"))) == library.plan
    assert command == json.loads(json.dumps(library.to_dict()))
    for row in command["rejected"]:
        assert row["reason"] in page.texts[0]
    for warning in command["warnings"]:
        assert warning in page.texts[0]
    if library.command_says_all and not library.plan.requires:
        assert page.text_of(id="train-command") == command["command"]


@pytest.mark.parametrize("said", SEARCHES, ids=lambda said: " ".join(said.values()) or "all")
def test_library_command_and_page_find_the_same_networks(said: dict[str, str]):
    values = first_values((*compare_page.FIELDS, compare_page.PICK)) | {"models-rows": "all"}
    *_, table = compare_page.page({**values, **{f"models-{name}": value for name, value in said.items()}})
    page = parsed(table)
    shown = [text for attributes, text in page.all_of("button") if attributes.get("data-chooses") == "models-pick"]
    command = [card["name"] for card in from_command(page.text_of(id="models-command"))]
    library = list_models(
        ModelQuery(
            family=said.get("family"),
            max_params=10e6 if "parameters" in said else None,
            library=said.get("library"),
            commercial_use=said.get("licence"),
            contains=said.get("contains"),
            sizes=said.get("sizes"),
            sort=said.get("sort", "top1"),
            front=said.get("front", "all"),
        )
    )
    assert shown == command == [model.card.name for model in library]


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("--port", "99999"), "65535", 2),
        (("--open", "everything"), "everything", 2),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_loaded(
    command: list[str], arguments: tuple[str, ...], words: str, code: int
):
    done = subprocess.run([*command, "web", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert words in done.stderr
