"""The strategy decider as a pure function of what the form holds."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml

from headstart.apps.cli.options.parsing import parse_seconds
from headstart.apps.pages import decide_page
from headstart.knowledge.choosing import FEW_IMAGES
from headstart.plan.plan import Plan, TrainPhase
from headstart.workflow.advising import advise
from page_text import first_values, parsed


def asked(**said: str) -> dict[str, str]:
    return {**first_values(decide_page.FIELDS), "cores": "2", "gpu": "none", **said}


def test_the_first_page_is_complete():
    page = parsed(decide_page.page(asked()))
    titles = [text for _, text in page.all_of("h2")]
    assert titles[1:] == [
        *("Go on with", "Why", "What the plan does", "Why not something else", "What the cost assumes"),
    ]
    assert page.text_of(data_strategy="progressive") == "Progressive"
    assert page.text_of(id="train-command") == "headstart train DATA --strategy progressive"


def test_the_plan_on_the_page_is_the_plan_of_the_library():
    page = parsed(decide_page.page(asked(images="8000", domain="medical", classes="4", data="my x-rays")))
    plan = Plan.from_dict(yaml.safe_load(page.text_of(id="plan-yaml")))
    there = advise(images=8_000, domain="medical", classes=4, cores=2, gpu="none").plan
    assert plan.data.source == "my x-rays"
    assert there.changed(data=plan.data) == plan
    assert shlex.split(page.text_of(id="train-command"))[2] == "my x-rays"


def test_every_other_strategy_stands_there_with_its_reason_and_its_time():
    page = parsed(decide_page.page(asked(images="300", similarity="low")))
    advice = advise(images=300, domain="photo", similarity="low", cores=2, gpu="none")
    text = page.text_of(aria_label="Every strategy: why not, and its estimated time here (bars: logarithmic)")
    for name, why in advice.rejected.items():
        assert decide_page.named(name) in text
        assert why in text


def test_every_reason_stands_there_with_its_source():
    advice = advise(images=500, domain="photo", cores=2, gpu="none")
    text = parsed(decide_page.page(asked())).texts[0]
    for reason in advice.reasons:
        assert reason.reason in text
        assert reason.source in text
    assert sum(isinstance(phase, TrainPhase) for phase in advice.plan.phases)


def test_phases_say_what_learns():
    steps = parsed(decide_page.page(asked(domain="satellite", images="2000")))
    rows = [text for attributes, text in steps.all_of("tr")]
    plan = advise(images=2_000, domain="satellite", cores=2, gpu="none").plan
    trained = [phase for phase in plan.phases if isinstance(phase, TrainPhase)]
    assert any("the last layer groups" in row and "and the head" in row for row in rows), rows
    assert any(f"{trained[-1].epochs}" in row and trained[-1].name in row for row in rows)
    full = decide_page.page(asked(domain="document", images="30000"))
    assert "every layer group, and the head" in full


def test_what_train_cannot_do_yet_is_said_and_no_command_is_given():
    question = asked(images="500", domain="document", unlabelled="200000", budget="unlimited")
    page = parsed(decide_page.page(question))
    assert "until it can do: self_supervised_pretraining" in page.texts[0]
    with pytest.raises(AssertionError):
        page.text_of(id="train-command")
    assert "self_supervised_pretraining" in page.text_of(id="plan-yaml")


def test_bands_are_brought_to_the_network_by_training():
    page = parsed(decide_page.page(asked(images="20000", domain="satellite", channels="13")))
    assert "until it can do" not in page.texts[0]
    assert "channel_adaptation" in page.text_of(id="plan-yaml")


def test_warnings_come_before_everything_else():
    html = decide_page.page(asked(images="20000", similarity="high", budget="1m"))
    assert "even feature_extraction takes about" in html
    assert html.index("even feature_extraction") < html.index("Go on with")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"images": ""}, ["images: 0 must be >= 1"]),
        (
            {"images": "many", "classes": "2.5"},
            ["images: 'many' is no whole number", "classes: '2.5' is no whole number"],
        ),
        ({"images": "3", "classes": "8"}, ["classes: 8 must be <= images 3"]),
        ({"classes": "1", "cores": "0"}, ["classes: 1 must be >= 2", "cores: 0 must be >= 1"]),
        ({"budget": "soon"}, ["'soon' is no duration"]),
        ({"images": "-4"}, ["images: -4 must be >= 1"]),
    ],
)
def test_a_question_without_a_result_says_why(said: dict[str, str], words: list[str]):
    page = parsed(decide_page.page(asked(**said)))
    assert [attributes for attributes, _ in page.all_of("div") if attributes.get("role") == "alert"]
    for part in words:
        assert part in page.texts[0]


def test_the_question_is_the_same_on_the_command_line():
    question = decide_page.Question.from_fields(asked(images="70", budget="unlimited", unlabelled="1000", cores=""))
    assert question.command() == (
        "headstart advise --images 70 --domain photo --unlabelled 1000 --budget unlimited --gpu none"
    )
    assert decide_page.Question.from_fields(asked(cores="", gpu="auto")).command() == (
        "headstart advise --images 500 --domain photo"
    )


def test_sliders_reach_the_thresholds_of_the_rules():
    (images,) = [field for field in decide_page.FIELDS if field.name == "images"]
    stops = [int(value) for value in re.findall(r"\[&quot;(\d+)&quot;", images.html)]
    assert stops == sorted(set(stops))
    assert {10, 1_000, FEW_IMAGES, 50_000, 100_000, 1_000_000} <= set(stops)
    seconds = [parse_seconds(value or None) or 0 for value, _ in decide_page.BUDGETS]
    assert all(seconds[:-2])
    assert [budget for budget, _ in decide_page.BUDGETS[-2:]] == ["", "unlimited"]
