"""Where the project uses a word that its glossary replaces.

    python scripts/glossary.py                       # every place, file by file
    python scripts/glossary.py src/headstart/plan    # only there
    python scripts/glossary.py --counts              # words a file

Read are docs and README, and of each module its name, its public names, the first line of every docstring (all lines of
`apps/cli`, where a docstring is a help text) and every other text: messages, help, keys. Comments and local names are
not. Many words have an ordinary meaning too, and the patterns leave that alone: "the rest of the layers" may stay,
"what rests" may not.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
GLOSSARY: Final = ROOT / "docs" / "glossary.md"


@dataclass(frozen=True)
class Term:
    """One row of the glossary."""

    say: str
    """What to write instead, for the message."""
    prose: tuple[str, ...]
    """Patterns of what not to write, in sentences and in names (their words separated by spaces); case is ignored."""
    names: tuple[str, ...] = ()
    """Words that may not be part of a public name or key, because there they have only the meaning in question."""


_THINGS = "groups?|layers?|parts?|blocks?|stages?|modules?|tensors?|weights|parameters?|networks?|backbones?|heads?"
_SHOWN = "images?|views?|pixels?|inputs?"

TERMS: Final = (
    Term(
        "training set, train",
        (r"images? (that|which) learns?", r"to learn from", r"images? learned from", r"fit images?"),
    ),
    Term(
        "validation set, validation",
        (r"images? (that|which) (choos|select)es?", r"images? that choose", r"select images?"),
    ),
    Term("validation set, validation", (r"select (share|logits|losses|loss)",)),
    Term("test set, test", (r"images? (that|which) reports?", r"images? that reported", r"report(ed|ing) images?")),
    Term("test set, test", (r"report (share|seed)", r"reported on")),
    Term("frozen", (r"rests", r"resting", rf"(?:{_THINGS}|that|which|they) rest(?! of)")),
    Term(
        "unfreeze, trainable",
        (r"thaw\w*", r"what learns", rf"({_THINGS}|that|which) learns?(?! (from|about|what|how))"),
    ),
    Term("cut point", (r"borders?(?! (of (an|the|each|every) (images?|photos?)|pixels?)|-|:)",), ("border", "borders")),
    Term(
        "frozen prefix, trainable suffix",
        (r"stretch(es)? of (a|the|its) (network|forward|graph)", r"way (stored|computed)"),
        ("way",),
    ),
    Term("cached activations", (r"(what|rows?|activations|outputs) (that )?((is|are|was|were) )?kept", r"kept rows?")),
    Term(
        "linear probe",
        (r"(re-?)?solved (linear )?(heads?|probes?)", r"the (re-?)?solve", r"heads? (is|are|was|were) (\w+ )?solved"),
    ),
    Term("L2 penalty (of a head), magnitude (of an augmentation)", (r"strengths?",)),
    Term(
        "learning rate, lr",
        (
            r"(?<!learning )(?<!learning-)(?<!error )(?<!alarm )(?<!positive )(?<!negative )(?<!dropout )(?<!drop )"
            r"(?<!discovery )(?<!coverage )(?<!base )(?<!hit )(?<!sampling )(?<!frame )"
            r"(rates|rate(?! of\b))(?! limit)",
        ),
    ),
    Term("validation pass, evaluate", (r"judg(e|es|ed|ing|e?ment|e?ments)",)),
    Term("correct, misclassified", (r"rightly", r"wrongly")),
    Term(
        "selected checkpoint, best epoch",
        (
            r"(candidates?|weights|epochs?|checkpoints?|probe|network|which|was|not) kept"
            r"(?! (in|on|at|as|together|apart|out|free|open))",
        ),
        ("kept",),
    ),
    Term(
        "result, prediction, output",
        (r"answer(s|ed|ing)?(?! (to )?(the|a|an|this|that|these|one|your|which) question)",),
    ),
    Term(
        "augmentation, augmented view, magnitude",
        (
            r"vigou?r(ous)?(ly)?",
            rf"(vary|varies|varied|varying) (the )?({_SHOWN})",
            rf"({_SHOWN}) ((is|are|was|were) )?(vary|varies|varied)",
        ),
        ("vary", "varied", "vigour"),
    ),
    Term("domain similarity", (r"nearness",)),
    Term(
        "throughput, latency",
        (r"answering speeds?", r"(\d+|two|three|four|five|of|per|such|many|more|all) looks"),
        ("looks",),
    ),
    Term("quick benchmark", (r"(?<!at a )glanc(e|es|ed|ing)",)),
    Term(
        "estimate (before), measured (after)",
        (
            r"forecast\w*",
            r"what (it|this|that|one|each|they|a \w+|the \w+|an \w+) takes?",
            r"pric(es|ed|ing)|(?<!hourly )price(?! (per|an|of an?) hour)",
        ),
    ),
    Term("MACs", (r"arithmetic(?! (mean|of float|in float))",), ("arithmetic",)),
    Term("strongest activations", (r"excit(e|es|ed|ing)",)),
    Term("domain", (r"kinds? of (image|photo|picture)s?", r"nature of (the |your |an? )?(image|photo|picture)s?")),
    Term("cannot improve", (r"futil\w+",)),
    Term("resolved", (r"(un)?settl(e|es|ed|ing)",)),
    Term(
        "requested, given",
        (r"wish(es|ed)?", r"wanted", r"asked", r"told(?! apart)"),
        ("wish", "wanted", "asked", "told"),
    ),
    Term("in parallel, in a background thread, next to", (r"beside",)),
    Term("in a subprocess", (r"apart(?! from)",), ("apart",)),
)

ORDINARY: Final = (
    r"(tell|tells|telling|told|tear|torn|take|takes|taken|keep|kept|set|far|points?|hours) (\w+ ){0,2}apart",
    r"letterbox\w* \(border\)",
    r"<summary>answers?",
    r"questions? and answers?",
    r"(with|of) a border",
    r"coding rate",
)
"""Where such a word has another meaning: taken out before anything is looked for."""

EXCEPTIONS: Final[dict[str, frozenset[str]]] = {
    "src/headstart/input_spec.py": frozenset({"border"}),  # the border of a letterboxed image
    "src/headstart/engine/store/store.py": frozenset({"border"}),  # a name on disk, part of every address
    "src/headstart/data/preprocess.py": frozenset({"border"}),  # the crop mode of timm
    "src/headstart/networks/cards/describe.py": frozenset({"border"}),
    "src/headstart/apps/cli/text/cards.py": frozenset({"border"}),
    "src/headstart/comparison/grid.py": frozenset({"vary"}),  # the key of a grid: what a sweep varies
    "src/headstart/comparison/questions.py": frozenset({"vary"}),
}
"""File -> words that have their ordinary meaning there."""

OLD_NAMES: Final = frozenset(f"src/headstart/{package}/upgrade.py" for package in ("comparison", "plan", "runs"))
"""Modules that read files of earlier versions: they hold the old words, and nothing else does."""

RIDDLES: Final = frozenset({"beside", "apart", "kept", "moved", "judged", "ending", "looking"})
"""Public names of one word that do not say what they name."""


@dataclass(frozen=True)
class Place:
    """A word that is replaced, where it was found."""

    path: Path
    line: int
    word: str
    say: str

    def __str__(self) -> str:
        return f"{self.path.as_posix()}:{self.line}: {self.word!r}: say {self.say}"


def words_in(text: str) -> Iterator[tuple[str, str]]:
    """(word that the glossary replaces, what to say) in a sentence, in order of the glossary."""
    flat = " ".join(re.sub(r"[_*`]", lambda mark: " " if mark[0] == "_" else "", text).split())
    flat = _ORDINARY.sub("", flat)
    for pattern, say in _PROSE:
        for match in pattern.finditer(flat):
            yield match[0], say


def words_in_name(name: str) -> Iterator[tuple[str, str]]:
    """(word that the glossary replaces, what to say) in a name, a key or the value of an option."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = re.sub(r"[^A-Za-z0-9]+", " ", spaced).lower().split()
    found = list(words_in(" ".join(words)))
    yield from found
    said = " ".join(word for word, _ in found).split()
    for term in TERMS:
        yield from ((word, term.say) for word in words if word in term.names and word not in said)
    if name.lower() in RIDDLES and not found and not any(name.lower() in term.names for term in TERMS):
        yield name, "the noun of what it holds"


_ORDINARY: Final = re.compile("|".join(ORDINARY), re.IGNORECASE)
_PROSE: Final = tuple(
    (re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE), term.say) for term in TERMS for pattern in term.prose
)


def places_in_markdown(path: Path) -> Iterator[Place]:
    """Words in a page; code and output of commands are read too."""
    for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
        yield from (Place(path, number, word, say) for word, say in words_in(line))


def places_in_module(path: Path) -> Iterator[Place]:
    """Words in what a module says and in how it names things."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    docstrings = {id(node): first for node, first in _docstrings(tree, whole="cli" in path.parts)}
    for word, say in words_in_name(path.stem):
        yield Place(path, 1, word, say)
    for line, name in _public_names(tree):
        yield from (Place(path, line, word, say) for word, say in words_in_name(name))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        text = docstrings.get(id(node), node.value)
        if id(node) in docstrings or " " in text.strip():
            found = words_in(text)
        elif re.fullmatch(r"[A-Za-z][\w./-]*", text):
            found = words_in_name(text)
        else:
            continue
        yield from (Place(path, node.lineno, word, say) for word, say in found)


def _docstrings(tree: ast.Module, *, whole: bool) -> Iterator[tuple[ast.Constant, str]]:
    """Texts that stand as a statement: of modules, classes, functions, fields. Their first line, or all of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            text = node.value.value
            yield node.value, text if whole else text.strip().partition("\n")[0]


def _public_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, name) of functions, classes, constants and type aliases, and of the members of classes."""
    bodies: list[Iterable[ast.stmt]] = [tree.body, *(n.body for n in ast.walk(tree) if isinstance(n, ast.ClassDef))]
    for node in (node for body in bodies for node in body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            named = [node.name]
        elif isinstance(node, ast.Assign):
            named = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            named = [node.target.id]
        else:
            continue
        yield from ((node.lineno, name) for name in named if not name.startswith("_"))


def files() -> list[Path]:
    """What is read, relative to the checkout. The glossary itself names the words."""
    pages = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
    modules = sorted((ROOT / "src" / "headstart").rglob("*.py"))
    found = [path.relative_to(ROOT) for path in [*pages, *modules] if path != GLOSSARY]
    return [path for path in found if path.as_posix() not in OLD_NAMES]


def places(paths: Iterable[Path]) -> list[Place]:
    """Every word that is replaced, in these files."""
    found: list[Place] = []
    for path in paths:
        ordinary = EXCEPTIONS.get(path.as_posix(), frozenset())
        here = places_in_markdown(path) if path.suffix == ".md" else places_in_module(path)
        found += (place for place in here if place.word.lower() not in ordinary)
    return sorted(found, key=lambda place: (place.path.as_posix(), place.line))


def counts(found: Iterable[Place]) -> dict[str, int]:
    """File -> number of places."""
    return dict(sorted(Counter(place.path.as_posix() for place in found).items()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the places."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders; everything if none is given")
    parser.add_argument("--counts", action="store_true", help="only how many there are a file")
    given = parser.parse_args(arguments)
    below = [path.resolve().relative_to(ROOT) for path in given.paths] or [Path()]
    found = places(path for path in files() if any(path.is_relative_to(folder) for folder in below))
    lines: Iterable[object] = [f"{n:4} {path}" for path, n in counts(found).items()] if given.counts else found
    print(*lines, f"{len(found)} places", sep="\n", file=sys.stdout)


if __name__ == "__main__":
    main()
