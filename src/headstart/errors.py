"""Every error a user can cause, as one small tree.

HeadstartError            exit code 1: one line that says what was found, what was expected, the way out
  DataError               images, folders, splits
  ModelError              unknown model, wrong weights, no network
    WeightsUnavailableError  weights that are not on this machine and cannot be brought here now
  PlanError               a plan with faults, all of them at once
  RunError                a run folder that cannot be made, read or continued
    DiskFullError         the last good checkpoint is kept; its kind StoreFullError (features) is the store's own limit
    NotWritableError      a folder of headstart may not be written; a run goes on without it
    FrozenMovedError      something that must not move did
  UnreachableError        the system does not let us look at a path: a folder may not be entered, a name is too long
  BundleError             a bundle that cannot be read
  MissingExtraError       the pip command that installs what is missing
  Interrupted             exit code 130: stopped on request, everything saved
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Iterable, Sequence
from types import ModuleType


class HeadstartError(Exception):
    """Base of all errors that are the user's to solve.

    The three parts are sentences without a final full stop: what was `found`, what was `expected`,
    and the `remedy`. The last two may be empty when the first says it all.
    """

    exit_code = 1

    def __init__(self, found: str, *, expected: str = "", remedy: str = "") -> None:
        self.found = found
        self.expected = expected
        self.remedy = remedy
        parts = [found, f"expected {expected}" if expected else "", remedy]
        super().__init__("; ".join(part for part in parts if part))

    def __reduce__(self) -> tuple[object, ...]:
        """Worker processes hand errors on as what they were made from."""
        return _again, (type(self), self.found, self.expected, self.remedy)


def _again(kind: type[HeadstartError], found: str, expected: str, remedy: str) -> HeadstartError:
    return kind(found, expected=expected, remedy=remedy)


class DataError(HeadstartError):
    """Images, folders or splits are not what training needs."""


class ModelError(HeadstartError):
    """A model or its weights cannot be had."""


class WeightsUnavailableError(ModelError):
    """Weights are not on this machine and cannot be brought here now."""


class PlanError(HeadstartError):
    """A plan with faults; `faults` holds one `path: sentence` for each."""

    def __init__(self, faults: Sequence[str], *, source: str = "plan") -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{source} has {count}: " + " | ".join(faults))
        self._source = source

    def __reduce__(self) -> tuple[object, ...]:
        """As for every error, from what a plan error is made of."""
        return _plan_error, (self.faults, self._source)


def _plan_error(faults: Sequence[str], source: str) -> PlanError:
    return PlanError(faults, source=source)


class RunError(HeadstartError):
    """A run folder cannot be made, read or continued."""


class DiskFullError(RunError):
    """The disk was full while saving; what was saved before is whole."""


class NotWritableError(RunError):
    """A folder of headstart (activations, measurements, weights) may not be written."""


class FrozenMovedError(RunError):
    """A tensor or buffer that the plan keeps frozen changed during training."""


class UnreachableError(HeadstartError):
    """A path cannot be looked at: a folder above it may not be entered, or its name is too long."""


class BundleError(HeadstartError):
    """A bundle cannot be read."""


class MissingExtraError(HeadstartError):
    """A library of an extra is not installed."""


class Interrupted(HeadstartError):  # noqa: N818 - not a fault
    """Stopped by Ctrl-C or SIGTERM after saving."""

    exit_code = 130


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> str:
    """`did you mean a, b, c?` for the known names that look most like `name`, or an empty string."""
    close = difflib.get_close_matches(name.lower(), list(known), n=count, cutoff=0.4)
    return f"did you mean {', '.join(close)}?" if close else ""


def require(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or raise MissingExtraError with the pip command that brings it.

    Raises:
        MissingExtraError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        raise MissingExtraError(
            f"{missing.name or module} is not installed", remedy=f'pip install "headstart[{extra}]"'
        ) from missing


def require_installed(module: str, *, extra: str) -> None:
    """Find out whether `module` is installed, without the time of importing it.

    Raises:
        MissingExtraError: it is not.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(f"{module} is not installed", remedy=f'pip install "headstart[{extra}]"')
