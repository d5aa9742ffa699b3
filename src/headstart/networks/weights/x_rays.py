"""Weights of torchxrayvision as a file: its networks are pickled with their code, so that only the library reads them.

They are converted once, and kept as safetensors under `$HEADSTART_HOME/weights`. The first convolution takes one grey
channel; a third of it for each of three equal channels gives the same sums.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from headstart.errors import WeightsUnavailableError, require
from headstart.files import has_file, home, write_atomically
from headstart.networks.cards.catalog import ModelCard

_FIRST = "features.conv0.weight"
_HEADS = ("classifier.", "op_threshs")


def x_ray_file(card: ModelCard) -> Path:
    """File of a card's trunk, converted if it is not there.

    Raises:
        MissingExtraError: torchxrayvision is not installed.
        WeightsUnavailableError: it cannot download them.
        DiskFullError: the disk is full.
    """
    kept = home() / "weights" / f"{card.architecture}-{card.tag}.safetensors"
    if has_file(kept):
        return kept
    models = require("torchxrayvision", extra="medical").models
    try:
        state = models.DenseNet(weights=card.weights.file).state_dict()
    except Exception as error:  # whatever its download, pickle and torch make of a missing network or a cut file
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsUnavailableError(
            f"torchxrayvision cannot bring {card.weights.file} ({first})",
            remedy="fetch it on a machine with network, where torchxrayvision puts it under ~/.torchxrayvision, and "
            f"copy that folder; or copy {kept} from a machine where headstart used it",
        ) from error
    trunk = {name: tensor.contiguous() for name, tensor in state.items() if not name.startswith(_HEADS)}
    trunk[_FIRST] = of_three_channels(trunk[_FIRST])
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, lambda aside: save_file(trunk, aside))
    return kept


def of_three_channels(weight: Tensor) -> Tensor:
    """(out, 3, H, W) weights that give on three equal channels what (out, 1, H, W) gives on one."""
    return (weight / 3).repeat(1, 3, 1, 1)
