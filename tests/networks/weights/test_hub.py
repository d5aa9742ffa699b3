"""The Hugging Face hub, played by a real server: files whole and checked or not there, and what a repository says."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub
import pytest
import timm.models

from headstart.errors import DiskFullError, ModelError
from headstart.networks.weights.hub import card_from_hub, hub_file, hub_url, is_hub_name, place_by_hand
from local_host import COMMIT, Host, files_under, sha256

REPO = "timm/net.in1k"
CONTENT = bytes(range(256)) * 1200  # 300 kB
SAFE = ("model.safetensors", "pytorch_model.bin")

CONFIG = {
    "architecture": "test_resnet",
    "num_classes": 5,
    "num_features": 64,
    "global_pool": "avg",
    "pretrained_cfg": {
        "tag": "r160_in1k",
        "input_size": [3, 96, 96],
        "interpolation": "bilinear",
        "crop_pct": 0.95,
        "crop_mode": "center",
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.4],
        "num_classes": 1000,
        "first_conv": "conv1.0",
        "classifier": "fc",
        "no_key_of_timm": True,
        "url": "https://elsewhere.example/w.pth",
    },
}


@pytest.fixture
def cache(host: Host) -> Path:
    """The hub's cache, while the hub holds the weights of one repository."""
    host.put(f"/{REPO}/model.safetensors", CONTENT)
    return Path(huggingface_hub.constants.HF_HUB_CACHE)


def test_a_file_is_fetched_into_the_cache_of_the_hub_once(cache: Path, host: Host):
    path = hub_file(REPO, SAFE)
    assert path == cache / "models--timm--net.in1k" / "snapshots" / COMMIT / "model.safetensors"
    assert path.read_bytes() == CONTENT
    asked = len(host.requests)
    assert hub_file(REPO, SAFE) == path
    assert len(host.requests) == asked


def test_what_timm_fetched_before_is_used_without_a_request(cache: Path, host: Host):
    first = huggingface_hub.hf_hub_download(REPO, "model.safetensors", endpoint=host.url)
    host.requests.clear()
    assert hub_file(REPO, SAFE) == Path(first)
    assert host.requests == []


def test_the_second_name_is_taken_where_the_first_is_not_there(cache: Path, host: Host):
    host.put("/timm/old/pytorch_model.bin", CONTENT)
    path = hub_file("timm/old", SAFE)
    assert path.name == "pytorch_model.bin"
    host.requests.clear()
    assert hub_file("timm/old", SAFE) == path
    assert host.requests == []


@pytest.mark.parametrize("name", ["timm--net.in1k.safetensors", "timm--net.in1k.bin"])
def test_a_file_put_there_by_hand_comes_first(home: Path, cache: Path, host: Host, name: str):
    (home / "weights").mkdir(parents=True)
    (home / "weights" / name).write_bytes(b"mine")
    assert hub_file(REPO, SAFE) == home / "weights" / name
    assert host.requests == []


def test_names_of_places_are_clear(home: Path):
    assert place_by_hand("a/b", "config.json") == home / "weights" / "a--b.config.json"
    assert place_by_hand("a/b", "open_clip_model.safetensors").name == "a--b--open_clip_model.safetensors"
    assert place_by_hand("a/b@refs/pr/1", "model.safetensors").name == "a--b@refs--pr--1.safetensors"


def test_a_revision_is_part_of_the_address(cache: Path, host: Host):
    assert hub_url(f"{REPO}@refs/pr/1", "f").endswith("/timm/net.in1k/resolve/refs%2Fpr%2F1/f")
    hub_file(f"{REPO}@v2", SAFE)
    assert all("/resolve/v2/" in request for request in host.requests)


def test_damaged_bytes_are_one_line_and_nothing_is_left(cache: Path, host: Host):
    host.announced[f"/{REPO}/model.safetensors"] = "ab" * 32
    with pytest.raises(ModelError, match=r"resolve/main/model\.safetensors arrived damaged .* try again") as caught:
        hub_file(REPO, SAFE)
    assert "\n" not in str(caught.value)
    assert not [name for name in files_under(cache) if name in ("model.safetensors", "ab" * 32)]
    host.announced.clear()
    assert hub_file(REPO, SAFE).read_bytes() == CONTENT


def test_a_hash_in_the_card_is_checked_too(cache: Path):
    assert hub_file(REPO, SAFE, sha256=sha256(CONTENT)).is_file()
    with pytest.raises(ModelError, match="expected sha256 0123"):
        hub_file("timm/net.in1k@v2", ["model.safetensors"], sha256="0123")


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(cache: Path, host: Host):
    path = hub_file(REPO, SAFE)
    path.write_bytes(CONTENT[:-1] + b"x")
    assert hub_file(REPO, SAFE).read_bytes() == CONTENT


@pytest.mark.parametrize("faults", [["die"], ["die", 503], [500, 429]])
def test_a_fault_that_passes_is_overcome(cache: Path, host: Host, faults: list, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    host.faults = list(faults)
    assert hub_file(REPO, SAFE).read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "code"), [(401, "GatedRepo"), (403, "GatedRepo"), (401, "RepoNotFound"), (401, "")])
def test_a_gated_repository_says_where_to_accept_and_how_to_log_in(host: Host, status: int, code: str):
    host.refusals["/meta/net"] = (status, code)
    with pytest.raises(ModelError) as caught:
        hub_file("meta/net", SAFE)
    assert str(caught.value) == (
        f"{host.url}/meta/net/resolve/main/model.safetensors needs a permission (HTTP {status}): its licence is to be "
        "accepted, or it is private or not there; accept the licence at https://huggingface.co/meta/net, then run "
        "`hf auth login` or set HF_TOKEN"
    )
    assert len(host.requests) == 1


def test_the_token_of_the_environment_is_sent(cache: Path, host: Host, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    hub_file(REPO, SAFE)
    assert host.tokens == {"Bearer hf_mine"}


@pytest.mark.parametrize("repo", ["timm/empty", "timm/gone"])
def test_what_is_not_there_is_named(home: Path, host: Host, repo: str):
    if repo == "timm/gone":
        host.refusals["/timm/gone"] = (404, "RepoNotFound")
    with pytest.raises(ModelError) as caught:
        hub_file(repo, SAFE)
    place = home / "weights" / f"{repo.replace('/', '--')}.safetensors"
    assert str(caught.value) == (
        f"{host.url}/{repo}/resolve/main/model.safetensors does not exist (HTTP 404); "
        f"if you have the file, put it at {place}"
    )
    assert len(host.requests) == (2 if repo == "timm/empty" else 1)


def test_without_network_the_line_names_file_place_and_what_is_installed(
    home: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_ENDPOINT", f"{nobody}/")
    start = time.monotonic()
    with pytest.raises(ModelError) as caught:
        hub_file(REPO, SAFE)
    assert str(caught.value) == (
        f"{nobody}/timm/net.in1k/resolve/main/model.safetensors cannot be downloaded ([Errno 111] Connection refused); "
        f"fetch it on a machine with network and put it at {home / 'weights' / 'timm--net.in1k.safetensors'}, or take "
        "tf_efficientnet_lite0, whose weights come with the installation"
    )
    assert time.monotonic() - start < 3


def test_offline_by_choice_asks_nobody(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError) as caught:
        hub_file(REPO, SAFE)
    for words in (
        "https://huggingface.co/timm/net.in1k/resolve/main/model.safetensors",
        "(HF_HUB_OFFLINE is set)",
        str(home / "weights" / "timm--net.in1k.safetensors"),
        "tf_efficientnet_lite0",
    ):
        assert words in str(caught.value)


def test_offline_by_choice_uses_the_cache(cache: Path, host: Host, monkeypatch: pytest.MonkeyPatch):
    path = hub_file(REPO, SAFE)
    host.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub_file(REPO, SAFE) == path
    assert host.requests == []


def test_a_full_disk_leaves_nothing(cache: Path, host: Host):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(DiskFullError, match=r"the disk is full: .*model\.safetensors could not be saved"):
            hub_file(REPO, SAFE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size > 1000]


def test_a_process_that_is_killed_in_the_middle_leaves_nothing_that_counts(cache: Path, host: Host):
    host.faults = ["stall"]
    call = f"from headstart.networks.weights.hub import hub_file; hub_file({REPO!r}, {SAFE!r})"
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
    process = subprocess.Popen([sys.executable, "-c", call], env=environment)
    deadline = time.monotonic() + 300  # the other process has to start first, on a machine that may be very busy
    while time.monotonic() < deadline:
        if any(request.startswith("GET") for request in host.requests):
            break
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert "model.safetensors" not in files_under(cache)
    assert hub_file(REPO, SAFE).read_bytes() == CONTENT


@pytest.fixture
def put_config(host: Host):
    def put(config: object, *, readme: str = "---\nlicense: mit\ntags:\n- timm\n---\n# Net\n") -> None:
        host.put("/me/net/config.json", config if isinstance(config, bytes) else json.dumps(config).encode())
        if readme:
            host.put("/me/net/README.md", readme.encode())

    return put


@pytest.mark.parametrize("name", ["me/net", "hf-hub:me/net", "hf_hub:me/net"])
def test_a_repository_says_what_it_holds(put_config, name: str):
    put_config(CONFIG)
    facts = card_from_hub(name)
    assert (facts.repo, facts.architecture, facts.num_classes, facts.licence) == ("me/net", "test_resnet", 5, "mit")
    for key in ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode"):
        assert getattr(facts.pretrained_cfg, key) == CONFIG["pretrained_cfg"][key]
    assert not facts.pretrained_cfg.has_weights


CONFIGS = {
    "usual": CONFIG,
    "short": {"architecture": "test_resnet", "pretrained_cfg": {}},
    "flat, as timm wrote it before": {"architecture": "test_resnet", **CONFIG["pretrained_cfg"]},
    "with arguments": {
        "architecture": "test_vit",
        "model_args": {"img_size": 64, "in_chans": 1},
        "pretrained_cfg": {"input_size": [3, 160, 160], "fixed_input_size": True, "num_classes": 3},
    },
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_configs_are_understood_as_timm_understands_them(put_config, tmp_path: Path, config: dict):
    put_config(config)
    facts = card_from_hub("me/net")
    (tmp_path / "config.json").write_text(json.dumps(config))
    cfg, architecture, args = timm.models._hub.load_model_config_from_path(tmp_path)
    cfg.pop("no_key_of_timm", None)
    assert (facts.architecture, facts.model_args) == (architecture, args)
    expected = timm.models.PretrainedCfg(**cfg).to_dict(remove_source=True)
    assert facts.pretrained_cfg.to_dict(remove_source=True) == expected
    assert facts.num_classes == facts.pretrained_cfg.num_classes


def test_a_repository_cannot_choose_how_timm_loads(put_config):
    put_config({**CONFIG, "model_args": {"checkpoint_path": "theirs.pth", "pretrained": True, "block_args": {}}})
    assert card_from_hub("me/net").model_args == {"block_args": {}}


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        ("---\nlicense: other\nlicense_name: dinov3-license\n---\n", "dinov3-license"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "mit, apache-2.0"),
        ("# No head", "not stated"),
        ("---\n{broken: [\n---\n", "not stated"),
        ("", "not stated"),
    ],
)
def test_licences_are_read_from_the_readme(put_config, readme: str, licence: str):
    put_config(CONFIG, readme=readme)
    assert card_from_hub("me/net").licence == licence


def test_a_licence_may_stand_in_the_config(put_config):
    put_config({**CONFIG, "pretrained_cfg": {**CONFIG["pretrained_cfg"], "license": "bsd-3-clause"}}, readme="")
    assert card_from_hub("me/net").licence == "bsd-3-clause"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"architectures": ["ViTModel"], "model_type": "vit"}, "me/net is no timm model.*names no architecture"),
        (["a list"], "me/net is no timm model"),
        (b"{broken", "cannot be read .*expected the config.json of a timm model"),
        ({**CONFIG, "architecture": "resnet19"}, "'resnet19', which timm .* does not have; did you mean"),
        ({**CONFIG, "num_classes": "five"}, "me/net is no timm model .*num_classes five"),
        ({**CONFIG, "pretrained_cfg": {"input_size": 224}}, "me/net is no timm model .*input_size 224"),
        ({**CONFIG, "pretrained_cfg": "none"}, "me/net is no timm model"),
        ({**CONFIG, "model_args": [1]}, "me/net is no timm model"),
    ],
)
def test_what_is_no_model_of_timm_is_one_sentence(put_config, config: object, words: str):
    put_config(config)
    with pytest.raises(ModelError, match=words) as caught:
        card_from_hub("me/net")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["hf-hub:net", "hf-hub:", "hf-hub:a/b/c", "hf-hub:../x", "hf-hub:a b/c"])
def test_what_names_no_repository_is_not_asked_for(host: Host, name: str):
    with pytest.raises(ModelError, match="names no repository; expected hf-hub:USER/NAME"):
        card_from_hub(name)
    assert host.requests == []


def test_a_config_put_there_by_hand_needs_no_network(home: Path, host: Host):
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "me--net.config.json").write_text(json.dumps(CONFIG))
    assert card_from_hub("hf-hub:me/net").licence == "not stated"
    assert host.requests == []


def test_names_of_the_hub_are_known_by_their_beginning():
    assert is_hub_name("hf-hub:a/b")
    assert is_hub_name("hf_hub:a/b")
    assert not is_hub_name("resnet18:file:a/b")


def test_it_is_light():
    code = (
        "import sys, headstart.networks.weights.hub; assert not {'torch', 'huggingface_hub', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
