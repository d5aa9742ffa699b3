"""A process of headstart's own: libraries are imported without torch's compiler, and behave as ever afterwards."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart.apps.cli import own_process

LATER = """
from headstart.apps.cli import own_process
own_process.begin()
import sys
"""


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    """A folder with small packages in place of torch, its compiler and timm."""
    files = {
        "torch/__init__.py": "",
        "torch/_dynamo/__init__.py": """
print("compiler")
config = "real config"
def disable(function, recursive=True, *, reason=None):
    return lambda *args: ("disabled", function(*args))
""",
        "torch/_dynamo/utils.py": "def is_supported(device): return device == 'cuda'",
        "torch/_dynamo/other.py": "value = 3",
        "timm/__init__.py": """
from torch._dynamo import disable
from torch._dynamo.utils import is_supported

@disable
def double(number):
    "Twice."
    return 2 * number
""",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def said_by(code: str, libraries: Path) -> list[str]:
    """Lines that a fresh process prints after the start of a process of headstart's own."""
    script = f"import sys; sys.path.insert(0, {str(libraries)!r}){LATER}{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_library_is_imported_without_the_compiler(libraries: Path):
    code = """
import timm
print(timm.double(4), timm.double.__doc__, 'torch._dynamo' in sys.modules, type(timm.__spec__.loader).__name__)
"""
    assert said_by(code, libraries) == ["8 Twice. False SourceFileLoader"]


def test_a_part_that_is_imported_later_needs_no_compiler_either(libraries: Path):
    (libraries / "timm" / "part.py").write_text("from timm import disable\n@disable\ndef one():\n    return 1")
    own = "import sys\ndef disable(function):\n    return sys.modules['torch._dynamo'].disable(function)"
    (libraries / "timm" / "__init__.py").write_text(own)
    assert said_by("import timm; from timm import part; print(part.one())", libraries) == ["1"]


def test_the_compiler_is_there_for_whoever_asks_later(libraries: Path):
    code = """
import timm
print(timm.is_supported('cuda'))
import torch._dynamo
print(torch._dynamo.config, timm.double(4))
"""
    assert said_by(code, libraries) == ["compiler", "True", "real config ('disabled', 8)"]


@pytest.mark.parametrize(
    "line", ["from torch._dynamo import config", "import torch._dynamo.other", "from torch._dynamo.other import value"]
)
def test_a_library_that_needs_more_of_the_compiler_gets_the_real_one(line: str, libraries: Path):
    with (libraries / "timm" / "__init__.py").open("a") as file:
        file.write(f"\n{line}\n")
    code = """
import timm
print(sys.modules['torch._dynamo'].config, timm.double(4), timm.is_supported('cpu'))
"""
    assert said_by(code, libraries) == ["compiler", "real config ('disabled', 8) False"]


def test_a_compiler_that_is_there_already_stays(libraries: Path):
    code = """
import torch._dynamo
import timm
print(timm.double(4), sys.modules['torch._dynamo'] is torch._dynamo)
"""
    assert said_by(code, libraries) == ["compiler", "('disabled', 8) True"]


@pytest.mark.slow
def test_timm_itself_needs_no_compiler():
    code = "import timm; print('sympy' in sys.modules); import torch._dynamo; print('sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", LATER + code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.fixture
def restored() -> Iterator[None]:
    before, finders = gc.get_threshold(), list(sys.meta_path)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
    sys.meta_path[:] = finders


@pytest.mark.usefixtures("restored")
def test_garbage_is_searched_rarely_and_not_at_the_end():
    own_process.begin()
    own_process.begin()
    assert gc.get_threshold()[0] == own_process.COLLECT_AFTER_OBJECTS
    assert sum(isinstance(finder, own_process.LateCompiler) for finder in sys.meta_path) == 1
    own_process.end()
    assert gc.get_freeze_count() > 0
