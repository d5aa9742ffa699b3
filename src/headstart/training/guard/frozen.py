"""Check that everything the plan freezes is bit-identical after every epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from torch import Tensor

from headstart.errors import FrozenMovedError
from headstart.networks.groups.layers import fingerprints


class FrozenCheck:
    """Hashes of frozen tensors, taken once and compared after every epoch."""

    def __init__(self, frozen: Mapping[str, Tensor], owners: Mapping[str, str] | None = None) -> None:
        """Take the hashes.

        Args:
            frozen: Tensors by name.
            owners: Name of a tensor -> its layer group; None: no group is named.
        """
        self._before = fingerprints(frozen)
        self._owners = owners or {}

    def assert_unmoved(self, frozen: Mapping[str, Tensor], *, where: str, among: Collection[str] | None = None) -> int:
        """Number of tensors and buffers found bit-identical.

        Args:
            frozen: The tensors as they are now.
            where: Phase and epoch, for the message.
            among: Compare only these; None: all.

        Raises:
            FrozenMovedError: with the layer groups and the names of those that moved.
        """
        names = [name for name in self._before if among is None or name in among]
        after = fingerprints({name: frozen[name] for name in names if name in frozen})
        moved = sorted(name for name in names if after.get(name) != self._before[name])
        if moved:
            groups = dict.fromkeys(self._owners[name] for name in moved if name in self._owners)
            of = f" of {', '.join(groups)}" if groups else ""
            raise FrozenMovedError(
                f"{len(moved)} frozen tensors{of} changed during {where} (first: {moved[0]})",
                expected="every frozen weight and buffer bit-identical",
                remedy="this is a fault of headstart or of the network's own code: please report it with the plan",
            )
        return len(names)

    def by_group(self, among: Collection[str] | None = None) -> dict[str, str]:
        """Layer group -> hash of the names and hashes of its frozen tensors, in the order of their names.

        Args:
            among: Names of the tensors that count; None: all.
        """
        digests: dict[str, hashlib.blake2b] = {}
        for name in sorted(self._before):
            if name in self._owners and (among is None or name in among):
                digest = digests.setdefault(self._owners[name], hashlib.blake2b(digest_size=16))
                digest.update(f"{name} {self._before[name]}\n".encode())
        return {group: digest.hexdigest() for group, digest in digests.items()}
