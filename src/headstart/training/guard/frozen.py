"""Check that everything the plan freezes is bit-identical after every epoch."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from headstart.errors import FrozenMovedError
from headstart.networks.groups.layers import fingerprints


class FrozenCheck:
    """Hashes of frozen tensors, taken before an epoch and compared after it."""

    def __init__(self, frozen: Mapping[str, Tensor]) -> None:
        self._before = fingerprints(frozen)

    def assert_unmoved(self, frozen: Mapping[str, Tensor], *, where: str) -> int:
        """Number of tensors and buffers found bit-identical.

        Raises:
            FrozenMovedError: with the names of those that moved.
        """
        after = fingerprints(frozen)
        moved = sorted(name for name, digest in self._before.items() if after.get(name) != digest)
        if moved:
            raise FrozenMovedError(
                f"{len(moved)} frozen tensors changed during {where} (first: {moved[0]})",
                expected="every frozen weight and buffer bit-identical",
                remedy="this is a fault of headstart or of the network's own code: please report it with the plan",
            )
        return len(after)
