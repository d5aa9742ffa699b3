"""Settings of a process that is headstart's own, as the command line's is: its start and its end cost less.

A network library imports torch's compiler for one decorator each; with sympy it is two thirds of that import, and
nothing of headstart compiles before there are tens of thousands of images. So the compiler is imported when it is first
used. Python's search for garbage is made rarer, because what imports make lives until the end.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

LIBRARIES = ("timm", "torchvision")
"""They import the compiler, but need it for nothing while they are imported."""
COLLECT_AFTER_OBJECTS = 50_000
"""Python's own number is 700, at which imports of a million objects look for garbage more than a thousand times."""

_COMPILER = "torch._dynamo"
_STAND_INS = (_COMPILER, f"{_COMPILER}.utils")


def begin() -> None:
    """Make the imports that are to come cheaper."""
    gc.set_threshold(COLLECT_AFTER_OBJECTS)
    if not any(isinstance(finder, LateCompiler) for finder in sys.meta_path):
        sys.meta_path.insert(0, LateCompiler())


def end() -> None:
    """Make the end cheaper: Python would look through all modules for cycles once more before it lets go of them."""
    gc.freeze()


class LateCompiler(MetaPathFinder):
    """Finder that lets LIBRARIES be imported with stand-ins for the compiler."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:  # noqa: ANN401
        """The module's own spec, whose execution is watched; None for all others."""
        if fullname.startswith(f"{_COMPILER}.") and _is_stand_in(_COMPILER):
            # Another part than the one that has a stand-in is wanted: the real compiler comes now.
            real = _real_compiler()
            return PathFinder.find_spec(fullname, real.__path__, target)
        if fullname.partition(".")[0] not in LIBRARIES:  # parts of them may be imported long after the library itself
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Watched(spec.loader, self.without_compiler)
        return spec

    @contextmanager
    def without_compiler(self) -> Iterator[None]:
        """Stand-ins for the compiler while the block runs, if it has not been imported."""
        with self._lock:  # of one library after the other: the second import would remove the stand-ins of the first
            inner, self._depth = self._depth > 0, self._depth + 1
            try:
                if not inner and _COMPILER not in sys.modules:
                    _stand_in()
                yield
            finally:
                self._depth -= 1
                if not inner:
                    _remove_stand_ins()


class _Watched(Loader):
    def __init__(self, own: Loader, around: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self._own, self._around = own, around

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module is to look as always: readers of its data ask its spec for the loader.
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._own
        with self._around():
            self._own.exec_module(module)


class _StandIn(ModuleType):
    """In place of a module of the compiler; any name but `disable` and functions brings the real one."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):  # what the import system and `inspect` ask every module
            raise AttributeError(name)
        if self.__name__ == _COMPILER:
            return getattr(_real_compiler(), name)
        return functools.partial(_call_real, self.__name__, name)


def _stand_in() -> None:
    compiler, utils = _StandIn(_COMPILER), _StandIn(f"{_COMPILER}.utils")
    compiler.__dict__.update(__path__=[], utils=utils, disable=_disable_later)
    sys.modules.update({_COMPILER: compiler, f"{_COMPILER}.utils": utils})


def _is_stand_in(name: str) -> bool:
    return isinstance(sys.modules.get(name), _StandIn)


def _remove_stand_ins() -> None:
    for name in _STAND_INS:
        if _is_stand_in(name):
            del sys.modules[name]


def _real_compiler() -> ModuleType:
    _remove_stand_ins()
    return importlib.import_module(_COMPILER)


def _call_real(module: str, name: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401
    if _is_stand_in(module):
        _real_compiler()
    return getattr(importlib.import_module(module), name)(*args, **options)


def _disable_later(function: Any = None, *given: Any, **options: Any) -> Any:  # noqa: ANN401 - as `torch._dynamo.disable`
    """The function, kept from being compiled as soon as there is a compiler."""
    if not callable(function) or isinstance(function, type):
        return _real_compiler().disable(function, *given, **options)

    @functools.cache
    def disabled() -> Any:  # noqa: ANN401
        return importlib.import_module(_COMPILER).disable(function, *given, **options)

    @functools.wraps(function)
    def later(*args: Any, **named: Any) -> Any:  # noqa: ANN401
        # Without the compiler nothing can be compiled, so there is nothing to keep the function from.
        is_there = _COMPILER in sys.modules and not _is_stand_in(_COMPILER)
        return (disabled() if is_there else function)(*args, **named)

    vars(later)["_torchdynamo_disable"] = True  # by which the compiler knows such a function
    return later
