"""The feature-transfer explorer as a pure function."""

from __future__ import annotations

import json

import numpy as np
import pytest

from headstart.advice.probe.by_depth import probe_depths
from headstart.apps.pages import transfer_page
from headstart.errors import HeadstartError
from headstart.knowledge.choosing import depths_in
from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.transfer import DEPTH_FACTS, FAMILIES, HEAD_DEPTH, IMAGENET_EFFECT
from headstart.networks.cards.finding import find_model
from headstart.workflow.probing import DepthProbe
from page_text import first_values, parsed


def asked(**said: str) -> dict[str, str]:
    changed = {f"transfer-{name}": value for name, value in said.items()}
    return {**first_values(transfer_page.FIELDS), **changed}


def test_every_family_has_networks_and_the_usual_ones_come_first():
    firsts = {family.name: transfer_page.networks_of(family.name)[0] for family in FAMILIES}
    assert firsts["ResNet"] == "resnet18"
    assert firsts["EfficientNet"] == "tf_efficientnet_lite0"
    assert firsts["Vision Transformer"] == "vit_b_16"
    for family in FAMILIES:
        names = transfer_page.networks_of(family.name)
        assert len(names) == len(set(names)) >= 4
        for name in names[:3]:
            assert find_model(name).card.family in family.modules


@pytest.mark.parametrize("domain", DOMAINS)
def test_groups_take_the_domain_s_share_of_their_depth(domain):
    groups = transfer_page.group_shares(find_model("densenet121").card, domain)
    assert [group.group for group in groups] == ["stem", "stage1", "stage2", "stage3", "stage4", "head"]
    here = [fact.transfer_share for fact in depths_in(domain)]
    assert [group.depth.transfer_share for group in groups] == [here[0], here[0], here[1], here[2], here[3], 0.0]
    assert groups[-1].depth == HEAD_DEPTH
    assert [group.is_head for group in groups] == [False] * 5 + [True]


def test_photos_show_the_literature_and_other_domains_say_that_theirs_is_an_estimate():
    photos, _ = transfer_page.page(asked(family="ResNet", network="resnet50"))
    page = parsed(photos)
    assert "by relative depth" in page.texts[0]
    for fact in (*DEPTH_FACTS, HEAD_DEPTH):
        assert fact.detects in page.texts[0]
        assert fact.default_action in page.texts[0]
    for effect in IMAGENET_EFFECT:
        assert effect.teaches in page.texts[0]
    documents, _ = transfer_page.page(asked(family="ResNet", network="resnet50", domain="document"))
    assert "an estimate of ours" in documents
    assert "DiT" in documents
    transformer, _ = transfer_page.page(asked(family="Vision Transformer"))
    assert "is for convolutional networks" in transformer


def test_the_picture_has_its_table():
    html, _ = transfer_page.page(asked(family="VGG", network="vgg16", domain="medical"))
    page = parsed(html)
    table = page.text_of(aria_label="Layer groups, stem to head")
    for group in transfer_page.group_shares(find_model("vgg16").card, "medical"):
        assert group.group in table
        assert f"{group.depth.transfer_share:.1%}" in table


def test_another_family_brings_its_networks():
    html, menu = transfer_page.page(asked(family="DenseNet", network="resnet50"))
    assert menu["choice"] == transfer_page.networks_of("DenseNet")[0]
    assert menu["choice"] in html
    _, kept = transfer_page.page(asked(family="DenseNet", network="densenet201"))
    assert kept["choice"] == "densenet201"


@pytest.fixture(scope="module")
def stored() -> str:
    """What `headstart probe --json` prints, from the real command's own parts on made-up features."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 40)
    near = {"stem": 0.3, "stage1": 1.0, "stage2": 3.0}
    features = {
        name: (rng.normal(size=(80, 4)) + gap * labels[:, None]).astype(np.float32) for name, gap in near.items()
    }
    folds = np.arange(80) % 4
    curve = probe_depths(features, labels, folds, np.arange(80), names=list(near))
    probe = DepthProbe(curve, "resnet18:a1_in1k", "photos", ("a", "b"), None, 224, {}, 1.0)
    return json.dumps(probe.to_dict())


def test_a_stored_probe_is_shown_beside_the_literature(stored: str):
    probe = transfer_page.read_probe(stored)
    raw = json.loads(stored)
    assert [group.group for group in probe.groups] == ["stem", "stage1", "stage2", "head"]
    for group, row in zip(probe.groups, raw["groups"], strict=False):
        assert group.measured is not None
        assert group.measured.accuracy == row["accuracy"]
        assert group.depth.transfer_share == row["literature_share"]
        assert group.depth.detects == row["detects"]
    html, _ = transfer_page.page(asked(probe=stored))
    page = parsed(html)
    assert raw["sentence"] in page.texts[0]
    assert "measured on 80 of your images" in page.texts[0]
    table = page.text_of(aria_label="Layer groups, stem to head")
    assert f"{raw['groups'][2]['accuracy']:.1%}" in table


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: "{", "the file is no JSON"),
        (lambda raw: [], "holds a value that cannot be"),
        (lambda raw: {**raw, "groups": []}, "holds no groups"),
        (lambda raw: {key: value for key, value in raw.items() if key != "model"}, "has no 'model'"),
        (lambda raw: {**raw, "groups": [{**raw["groups"][0], "accuracy": 1.5}]}, "1.5 must be a number in 0..1"),
        (lambda raw: {**raw, "groups": [{**raw["groups"][0], "accuracy": True}]}, "True must be a number"),
        (lambda raw: {**raw, "groups": [{**raw["groups"][0], "position": 9}]}, "position 9 must be in"),
    ],
)
def test_another_file_is_refused_with_what_is_expected(stored: str, change, words: str):
    changed = change(json.loads(stored))
    text = changed if isinstance(changed, str) else json.dumps(changed)
    with pytest.raises(HeadstartError, match="the JSON of headstart probe DATA --json") as caught:
        transfer_page.read_probe(text)
    assert words in str(caught.value)
    html, _ = transfer_page.page(asked(probe=text))
    assert 'role="alert"' in html
