"""The Hugging Face hub: files of its repositories, and the facts of a timm model.

Files stay in the hub's own cache, which timm uses too; one that the user put under `$HEADSTART_HOME/weights` comes
first. What is in one of both is used without any request, and without asking whether there is a newer version.
`$HF_HOME`, `$HF_TOKEN`, `$HF_ENDPOINT` and `$HF_HUB_OFFLINE` mean what they mean everywhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import ModelError, WeightsUnavailableError, nearest, require
from headstart.files import has_file
from headstart.networks.weights.download import (
    NOT_THERE,
    TIMEOUT_SECONDS,
    damaged,
    download_error,
    http_status,
    is_whole,
    tried,
    weights_folder,
)

if TYPE_CHECKING:
    from timm.models import PretrainedCfg

_PREFIXES = ("hf-hub:", "hf_hub:")
_ENDINGS = {"model.safetensors": ".safetensors", "pytorch_model.bin": ".bin", "config.json": ".config.json"}
_FACTORY = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "features_only"}
"""Arguments of `timm.create_model` that say nothing of an architecture; a repository has no word in them."""
_PLACES = {"url", "file", "state_dict", "hf_hub_id", "hf_hub_filename", "source"}
"""Keys of a config that say where timm would read the weights: the repository is not to choose that."""
_NO_LICENCE = "not stated"


@dataclass(frozen=True, slots=True)
class HubFacts:
    """Facts of a model from its repository."""

    repo: str
    """`USER/NAME`, or `USER/NAME@REVISION`."""
    architecture: str
    """A name of timm's."""
    num_classes: int
    """Of the head in the file; 0 if it has none."""
    pretrained_cfg: PretrainedCfg
    """timm's record, complete with timm's defaults, without what says where the weights are."""
    model_args: dict[str, Any]
    """Arguments of the architecture other than the defaults."""
    licence: str
    """As the repository states it, or `not stated`."""


def is_hub_name(name: str) -> bool:
    """Whether a model name means a repository of the hub."""
    return name.startswith(_PREFIXES)


def card_from_hub(repo: str) -> HubFacts:
    """Facts of a timm model from its repository; downloads its config.json and README.md once.

    Args:
        repo: `USER/NAME` or `USER/NAME@REVISION`, with or without `hf-hub:` before it.

    Raises:
        ModelError: no such repository, none of timm's, or it cannot be reached.
    """
    for prefix in _PREFIXES:
        repo = repo.removeprefix(prefix)
    _refuse_wrong_name(repo)
    path = hub_file(repo, ["config.json"])
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error})", expected="the config.json of a timm model") from error
    # Repositories hold config.json of many programs; only timm's has an architecture and these mappings.
    known = isinstance(config, dict) and all(
        isinstance(config.get(key) or {}, dict) for key in ("pretrained_cfg", "model_args")
    )
    if not known or not isinstance(config.get("architecture"), str):
        raise ModelError(
            f"{repo} is no timm model (its config.json names no architecture)",
            expected="a repository that timm has written, such as hf-hub:timm/resnet18.a1_in1k",
        )
    architecture, pretrained_cfg, model_args = _read_config(config)
    timm = require("timm", extra="train")
    if not timm.is_model(architecture):
        hint = nearest(architecture, timm.list_models())
        raise ModelError(
            f"{repo} needs the architecture {architecture!r}, which timm {timm.__version__} does not have"
            + (f"; {hint}" if hint else ""),
            remedy="pip install --upgrade timm",
        )
    complete = _completed(pretrained_cfg, repo)
    licence = _stated_licence(repo, path) or str(complete.license or _NO_LICENCE)
    return HubFacts(repo, architecture, int(complete.num_classes), complete, model_args, licence)


def _refuse_wrong_name(repo: str) -> None:
    name, at, revision = repo.partition("@")
    valid = name.count("/") == 1 and (revision or not at)
    try:
        require("huggingface_hub.utils", extra="train").validate_repo_id(name)
    except ValueError:
        valid = False
    if not valid:
        raise ModelError(f"{repo!r} names no repository", expected="hf-hub:USER/NAME or hf-hub:USER/NAME@REVISION")


def _read_config(config: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Architecture, pretrained_cfg and model_args of a config.json, by the rules of timm.models._hub."""
    flat = "pretrained_cfg" not in config  # as timm wrote it before 0.9
    cfg = {k: v for k, v in config.items() if k != "architecture"} if flat else dict(config["pretrained_cfg"] or {})
    args = {} if flat else {k: v for k, v in (config.get("model_args") or {}).items() if k not in _FACTORY}
    if "num_classes" in config:
        cfg["num_classes"] = config["num_classes"]
    # Arguments of the architecture decide over the input that the config states, as timm does it.
    if args.get("in_chans") is not None:
        cfg["input_size"] = (args["in_chans"], *cfg.get("input_size", (3, 224, 224))[1:])
    if args.get("img_size") is not None and cfg.get("fixed_input_size", False):
        side = args["img_size"]
        cfg["input_size"] = (cfg["input_size"][0], *((side, side) if isinstance(side, int) else side))
    return config["architecture"], cfg, args


def _completed(cfg: dict[str, Any], repo: str) -> PretrainedCfg:
    """Timm's record of a config, with its defaults; keys that timm does not know are left out, as are places of files.

    Raises:
        ModelError: the input size or the number of classes is none.
    """
    kind = require("timm.models", extra="train").PretrainedCfg
    known = {field.name for field in fields(kind)} - _PLACES
    complete: PretrainedCfg = kind(**{name: value for name, value in cfg.items() if name in known})
    size, classes = complete.input_size, complete.num_classes
    if not (isinstance(size, (list, tuple)) and len(size) == 3 and isinstance(classes, int)):
        raise ModelError(f"{repo} is no timm model (input_size {size}, num_classes {classes})")
    return complete


def _stated_licence(repo: str, config: Path) -> str:
    """The licence in the README's head; empty if there is none, or the README cannot be had."""
    if config == place_by_hand(repo, "config.json"):  # a machine without network: it would only wait
        return ""
    try:
        readme = hub_file(repo, ["README.md"])
    except ModelError:
        return ""
    stated: dict[str, Any] = {}
    with contextlib.suppress(Exception):  # whatever a reader of YAML makes of foreign text
        stated = require("huggingface_hub", extra="train").metadata_load(readme) or {}
    licence = stated.get("license") or ""
    if licence == "other":
        licence = stated.get("license_name") or licence
    return ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence)


def place_by_hand(repo: str, file: str) -> Path:
    """Where a user puts a file of a repository: `$HEADSTART_HOME/weights/USER--NAME.safetensors` and the like."""
    ending = _ENDINGS.get(file) or f"--{file.replace('/', '--')}"
    return weights_folder() / f"{repo.replace('/', '--')}{ending}"


def hub_url(repo: str, file: str) -> str:
    """The address of a file, at the endpoint that `$HF_ENDPOINT` names now."""
    name, _, revision = repo.partition("@")
    return f"{_endpoint()}/{name}/resolve/{urllib.parse.quote(revision or 'main', safe='')}/{file}"


def hub_file(repo: str, files: Sequence[str], *, sha256: str = "") -> Path:
    """The first of `files` that the repository holds: put there by hand, from the hub's cache, or downloaded into it.

    Args:
        repo: `USER/NAME`, or `USER/NAME@REVISION`.
        files: Names in the repository, the preferred one first.
        sha256: Hash of the first of them in hex, or how it begins. Without it the hub's own hash is the check, which
            it has for all large files.

    Raises:
        ModelError: it is unavailable, or arrived damaged; the message names the URL and where to put the file.
        DiskFullError: the disk is full; no partial file is left.
    """
    for file in files:
        if has_file(place_by_hand(repo, file)):
            return place_by_hand(repo, file)
    hub = require("huggingface_hub", extra="train")
    name, _, revision = repo.partition("@")
    again = False
    for file in files:
        cached = hub.try_to_load_from_cache(name, file, revision=revision or None)
        if isinstance(cached, str):
            if is_whole(Path(cached), _expected_hash(Path(cached), sha256 if file == files[0] else "")):
                return Path(cached)
            # Damaged in the cache: the hub's download would return it as it lies there unless it is forced.
            again = True
    for file in files:
        try:
            path = _download(hub, repo, file, again=again)
        except Exception as error:
            if file != files[-1] and _is_other_file_missing(error):
                continue
            url, place = hub_url(repo, files[0]), place_by_hand(repo, files[0])
            raise download_error(error, url, place=place, repo=name) from error
        expected = _expected_hash(path, sha256 if file == files[0] else "")
        if is_whole(path, expected):
            return path
        _forget(path)
        raise damaged(hub_url(repo, file), expected)
    raise AssertionError("the last file was fetched or refused")


def _download(hub: Any, repo: str, file: str, *, again: bool) -> Path:  # noqa: ANN401 - the hub's module
    """Path of one file, downloaded into the hub's cache.

    The hub's own download is asked only once the server has answered: alone, it would go on trying for half a minute
    where there is no network.
    """
    offline = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    if (
        offline.upper() in {"1", "ON", "YES", "TRUE"}
        or require("huggingface_hub.constants", extra="train").HF_HUB_OFFLINE
    ):
        raise WeightsUnavailableError(
            f"{hub_url(repo, file)} cannot be downloaded (HF_HUB_OFFLINE is set)",
            remedy=f"fetch it on a machine with network and put it at {place_by_hand(repo, file)}, "
            "or take tf_efficientnet_lite0, whose weights come with the installation",
        )
    name, _, revision = repo.partition("@")

    def bring() -> Path:
        hub.get_hf_file_metadata(hub_url(repo, file), timeout=TIMEOUT_SECONDS, endpoint=_endpoint())
        options = {"revision": revision or None, "endpoint": _endpoint(), "force_download": again}
        return Path(hub.hf_hub_download(name, file, **options))

    return tried(bring)


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _is_other_file_missing(error: Exception) -> bool:
    """Whether the repository is there, and only this file is not."""
    return http_status(error) in NOT_THERE and "Repository" not in type(error).__name__


def _expected_hash(path: Path, known: str) -> str:
    """The hash of a file in the cache: it is a link to a blob, and that of a large file is named after its sha256."""
    if known or not path.is_symlink():
        return known
    blob = path.readlink().name
    return blob if re.fullmatch("[0-9a-f]{64}", blob) else ""


def _forget(path: Path) -> None:
    """Remove a damaged file from the hub's cache: the link and the blob it names."""
    blob = path.parent / path.readlink() if path.is_symlink() else path
    # The blob too: other snapshots link to it, and a download would link to the damaged one again.
    for one in (path, blob):
        with contextlib.suppress(OSError):
            one.unlink(missing_ok=True)
