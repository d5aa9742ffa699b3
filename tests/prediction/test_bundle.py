"""A bundle is a folder of safetensors and JSON that gives the same logits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from headstart.errors import BundleError
from headstart.networks.backbone import Classifier, build_classifier, build_network
from headstart.networks.cards.finding import find_model
from headstart.prediction.bundle import load_classifier, read_info, save_bundle

CHOICE = find_model("tf_efficientnet_lite0")
CLASSES = ("ants", "bees")
SPEC = CHOICE.card.input.at_size(64)


def classifier(kind: str = "linear") -> Classifier:
    made = build_classifier(CHOICE, kind=kind, num_classes=2, seed=0)
    torch.manual_seed(5)
    last = made.head if kind == "linear" else made.head[-1]
    torch.nn.init.normal_(last.weight)
    return made


def save(folder: Path, kind: str = "linear") -> Classifier:
    made = classifier(kind)
    save_bundle(folder, made, classes=CLASSES, spec=SPEC)
    return made


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_loaded_bundle_gives_the_saved_logits_bit_for_bit(tmp_path: Path, kind: str):
    made = save(tmp_path / "bundle", kind)
    loaded, info = load_classifier(tmp_path / "bundle")
    x = torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(made.network.eval()(x), loaded.network(x))
    assert (info.classes, info.input, info.head, info.card) == (CLASSES, SPEC, kind, CHOICE.card)


def test_a_bundle_holds_no_pickle_and_says_its_licence(tmp_path: Path):
    save(tmp_path / "bundle")
    assert sorted(p.name for p in (tmp_path / "bundle").iterdir()) == ["bundle.json", "model.safetensors"]
    raw = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    assert raw["schema_version"] == 1
    assert raw["licence"] == "apache-2.0"
    assert raw["temperature"] is None


def test_the_weights_load_in_timm_itself(tmp_path: Path):
    import timm
    from safetensors.torch import load_file

    made = save(tmp_path / "bundle")
    network = timm.create_model("tf_efficientnet_lite0", num_classes=2)
    network.load_state_dict(load_file(tmp_path / "bundle" / "model.safetensors"))
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(network.eval()(x), made.network.eval()(x), atol=1e-4)


def test_what_is_no_bundle_is_said(tmp_path: Path):
    with pytest.raises(BundleError, match=r"is no bundle \(bundle\.json cannot be read\)"):
        read_info(tmp_path)


def test_a_run_folder_points_to_its_bundle(tmp_path: Path):
    save(tmp_path / "run" / "bundle")
    with pytest.raises(BundleError, match="is a run folder; its bundle is"):
        read_info(tmp_path / "run")


def test_a_newer_schema_is_refused_with_the_way_out(tmp_path: Path):
    save(tmp_path / "bundle")
    path = tmp_path / "bundle" / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 2}))
    with pytest.raises(BundleError, match=r"schema version 2; expected at most 1; pip install --upgrade"):
        read_info(tmp_path / "bundle")


def test_a_bundle_with_a_part_missing_is_said(tmp_path: Path):
    save(tmp_path / "bundle")
    path = tmp_path / "bundle" / "bundle.json"
    raw = json.loads(path.read_text())
    del raw["classes"]
    path.write_text(json.dumps(raw))
    with pytest.raises(BundleError, match="lacks or garbles 'classes'"):
        read_info(tmp_path / "bundle")


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_damaged_or_foreign_weights_are_refused(tmp_path: Path, damage: str):
    save(tmp_path / "bundle")
    path = tmp_path / "bundle" / "model.safetensors"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    else:
        from safetensors.torch import save_file

        network = build_network(find_model("resnet18").card)
        save_file({n: t.contiguous() for n, t in network.state_dict().items()}, path)
    with pytest.raises(BundleError, match="cannot be used"):
        load_classifier(tmp_path / "bundle")


def test_a_network_that_uses_one_tensor_under_two_names_survives(tmp_path: Path):
    choice = find_model("timm/coat_lite_tiny")
    made = build_classifier(choice, kind="linear", num_classes=2, seed=0, weights="random")
    save_bundle(tmp_path / "bundle", made, classes=CLASSES, spec=choice.card.input)
    loaded, _ = load_classifier(tmp_path / "bundle")
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(made.network.eval()(x), loaded.network(x))


def test_a_bundle_of_the_first_version_is_still_read(tmp_path: Path):
    """Cards have more to say by now; what an old one does not say takes its usual value."""
    made = save(tmp_path / "bundle")
    path = tmp_path / "bundle" / "bundle.json"
    raw = json.loads(path.read_text())
    kept = ("name", "architecture", "tag", "library", "family", "parameters", "gmacs", "imagenet_top1", "features")
    old = {key: raw["card"][key] for key in (*kept, "input", "groups", "licence", "paper", "weights")}
    old["input"] = {key: value for key, value in old["input"].items() if key != "crop"}
    old["weights"] = {key: old["weights"][key] for key in ("kind", "file", "sha256", "package", "url")}
    path.write_text(json.dumps({**raw, "card": old, "input": {k: v for k, v in raw["input"].items() if k != "crop"}}))
    loaded, info = load_classifier(tmp_path / "bundle")
    assert info.input == SPEC
    assert torch.equal(loaded.head.weight, made.head.weight)
