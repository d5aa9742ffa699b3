"""Figures of the shape of the code, of this checkout or of another one.

    python scripts/house_figures.py                    # this checkout
    python scripts/house_figures.py OTHER/src          # any checkout of headstart, with one column a folder
    python scripts/house_figures.py OTHER/src src --no-runs

Most figures are read from the source with `ast` and `tokenize`; nothing of the package is imported. The last three
train on a few generated images in a subprocess, about half a minute each; `--no-runs` leaves them out.

Definitions, where a name does not say it:

- A line is any line of a `.py` file of the package, blank ones too.
- String keys: subscripts with a constant string (`row["loss"]`, read, written or deleted) and calls of `.get("loss")`;
  the type `Literal["auto"]` is none.
- Circles: groups of modules that import each other, directly or through others. Imports inside functions and under
  `if TYPE_CHECKING` count.
- A public name is a function, class, type alias or constant at the top level of a module, without a leading underscore.
- Runtime estimates: the modules of `engine/costs`, and those that became it.
- Modules and functions that handle DATA: those called with the path itself, as text or as a Path, while
  `headstart train DATA` runs; and those called with it or with a record that holds it.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import tempfile
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import data_path
import frames

ROOT: Final = Path(__file__).parents[1]

ESTIMATES: Final = frozenset(
    {
        *("advise.price", "features.cost", "features.cost_facts", "features.measured", "features.network_facts"),
        *("features.speed", "features.anatomy", "features.kept_estimates", "features.spent"),
        *("train.forecasting", "train.ledger"),
        *("data.meter", "data.spent"),
    }
)
"""Modules of the runtime estimates outside `engine.costs`, before they had a folder and since."""
ENGINE_CHOICES: Final = frozenset({"features.engine_choice", "engine.prefix.engine_choice"})
"""Modules outside the estimates that remember measured times too."""

Imports: TypeAlias = dict[str, set[str]]
"""Module -> modules that it imports."""


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    name: str
    """Dotted, without `headstart`; that of a package is the package's."""
    path: Path
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """Lines, blank ones too."""
        return len(self.text.splitlines())


def modules_of(package: Path) -> list[Module]:
    """Every module of a package, by name.

    Args:
        package: Folder such as src/headstart.

    Raises:
        FileNotFoundError: there is no Python file in it.
    """
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        text = path.read_text(encoding="utf-8")
        name = ".".join(part for part in parts if part != "__init__")
        found.append(Module(name, path, text, ast.parse(text)))
    if not found:
        raise FileNotFoundError(f"no module of headstart in {package}; expected the folder that holds `headstart`")
    return found


def widest_folder(modules: Iterable[Module], package: Path) -> tuple[int, str]:
    """Modules of the folder with the most of them, and its name; an `__init__` does not count."""
    count = Counter(module.path.parent for module in modules if module.path.name != "__init__.py")
    folder, widest = max(count.items(), key=lambda item: item[1])
    return widest, folder.relative_to(package).as_posix()


def lines_naming_files(readme: str) -> int:
    """Lines that name a Python module by its file name."""
    return sum(bool(re.search(r"\b\w+\.py\b", line)) for line in readme.splitlines())


def string_keys(tree: ast.AST) -> int:
    """Subscripts with a constant string, and `.get` with one."""
    return sum(_is_string_key(node) for node in ast.walk(tree))


def _is_string_key(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return _is_text(node.slice) and not (isinstance(node.value, ast.Name) and node.value.id == "Literal")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        return bool(node.args) and _is_text(node.args[0])
    return False


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def comments(text: str) -> int:
    """Comments of a file, those behind code included; instructions to tools (`noqa`, `type: ignore`) do not count."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return sum(not re.match(r"#\s*(noqa|type: ignore)\b[^-]*$", comment) for comment in found)


def imports_of(modules: Sequence[Module]) -> Imports:
    """Which module imports which, wherever in the file the import stands."""
    names = {module.name for module in modules}
    found: Imports = {module.name: set() for module in modules}
    for module in modules:
        for target in _targets(module.tree):
            while target and target not in names:  # an imported function: its module
                target = target.rpartition(".")[0]
            if target and target != module.name:
                found[module.name].add(target)
    return found


def _targets(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "headstart":
            base = (node.module or "").partition(".")[2]
            yield from (f"{base}.{alias.name}".strip(".") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name.partition(".")[2] for a in node.names if a.name.startswith("headstart."))


def circles(imports: Imports) -> list[list[str]]:
    """Groups of modules that reach each other along imports."""
    reach = {name: _reached(name, imports) for name in imports}
    found = {frozenset({name, *(other for other in reach[name] if name in reach[other])}) for name in imports}
    return sorted(sorted(group) for group in found if len(group) > 1)


def _reached(start: str, imports: Imports) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = imports[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def repeated_names(modules: Iterable[Module]) -> dict[str, list[str]]:
    """Public names that more than one module defines -> the modules."""
    where: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        for name in public_names(module.tree):
            where[name].add(module.name)
    return {name: sorted(owners) for name, owners in sorted(where.items()) if len(owners) > 1}


def public_names(tree: ast.Module) -> set[str]:
    """Functions, classes, type aliases and constants at the top level of a module."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return {name for name in found if not name.startswith("_")}


def estimate_modules(modules: Iterable[Module]) -> list[Module]:
    """The modules that predict how long something takes and how much memory it needs."""
    found = [module for module in modules if module.name in ESTIMATES or module.name.startswith("engine.costs.")]
    return [module for module in found if module.path.name != "__init__.py"]


def memories(modules: Iterable[Module]) -> set[str]:
    """Names of JSON files in which times that were measured are remembered: text constants that are such a name."""
    watched = [*estimate_modules(modules), *(module for module in modules if module.name in ENGINE_CHOICES)]
    texts = (node.value for module in watched for node in ast.walk(module.tree) if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"\w+\.json", text)}


def static_figures(source: Path) -> dict[str, str]:
    """Figures read from the source: what is counted -> the figure as text.

    Args:
        source: Folder that holds `headstart`; the README is looked for beside it.
    """
    package = source / "headstart"
    modules = modules_of(package)
    lines = sum(module.lines for module in modules)
    keys = sum(string_keys(module.tree) for module in modules)
    said = sum(comments(module.text) for module in modules)
    readme = source.parent / "README.md"
    widest, folder = widest_folder(modules, package)
    estimates = estimate_modules(modules)
    folders, predicting = {module.path.parent for module in estimates}, sum(module.lines for module in estimates)
    remembered = sorted(memories(modules))
    repeated = repeated_names(modules)
    named = lines_naming_files(readme.read_text(encoding="utf-8")) if readme.is_file() else None
    return {
        "lines in modules": f"{lines:,} in {len(modules)}",
        "widest folder, modules": f"{widest} ({folder})",
        "README lines that name files": "no README" if named is None else str(named),
        "string keys per 1,000 lines": f"{1000 * keys / lines:.1f} ({keys:,})",
        "comments per 100 lines": f"{100 * said / lines:.2f} ({said:,})",
        "circles of imports": str(len(circles(imports_of(modules)))),
        "runtime estimates": f"{predicting:,} lines, {len(estimates)} files, {len(folders)} folders",
        "runtime estimates, JSON memories": f"{len(remembered)} ({', '.join(remembered)})",
        "public names defined more than once": str(len(repeated)),
    }


def run_figures(source: Path) -> dict[str, str]:
    """Figures read from small trainings: what is counted -> the figure as text."""
    found = {}
    for feed in frames.FEEDS:
        with tempfile.TemporaryDirectory() as folder:
            found[f"frames to forward, {feed}"] = str(len(frames.count(source, feed, Path(folder))))
    with tempfile.TemporaryDirectory() as folder:
        found["DATA through modules and functions"] = str(data_path.count(source, Path(folder)))
    return found


def commit_of(source: Path) -> str:
    """Short name of the commit that the folder lies in, marked where files were changed since; empty outside Git."""
    command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def table(columns: dict[str, dict[str, str]]) -> str:
    """Markdown with one row a figure and one column a checkout."""
    rows = list(dict.fromkeys(name for figures in columns.values() for name in figures))
    lines = [f"| figure | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {row} | {' | '.join(figures.get(row, '-') for figures in columns.values())} |" for row in rows]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", nargs="*", type=Path, default=[ROOT / "src"], help="folders that hold `headstart`")
    parser.add_argument("--no-runs", action="store_true", help="only what is read from the source")
    parser.add_argument("--names", action="store_true", help="list repeated names and circles below the table")
    given = parser.parse_args(arguments)
    columns = {}
    for source in given.sources:
        figures = static_figures(source)
        columns[commit_of(source) or str(source)] = figures if given.no_runs else figures | run_figures(source)
    print(table(columns))
    if given.names:
        modules = modules_of(given.sources[-1] / "headstart")
        print(*(f"{name}: {', '.join(owners)}" for name, owners in repeated_names(modules).items()), sep="\n")
        print(*(" -> ".join(circle) for circle in circles(imports_of(modules))), sep="\n")


if __name__ == "__main__":
    main()
