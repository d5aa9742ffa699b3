from __future__ import annotations

from pathlib import Path

import pytest

import house_figures
from house_figures import (
    circles,
    comments,
    imports_of,
    lines_naming_files,
    memories,
    modules_of,
    public_names,
    repeated_names,
    static_figures,
    string_keys,
    table,
    widest_folder,
)


def package_of(root: Path, files: dict[str, str]) -> Path:
    """A source folder with a package of these files."""
    for name, text in {"__init__.py": "", **files}.items():
        path = root / "src" / "headstart" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root / "src"


def test_string_keys_are_subscripts_and_get():
    tree = house_figures.ast.parse(
        "a['x']\na['y'] = b.get('z', 0)\na[0]\nb.get(key)\nc: Literal['auto']\nf('w')\n'abc'[1]\ndel a['v']\n"
    )
    assert string_keys(tree) == 4


def test_comments_leave_out_what_tools_read():
    text = "a = 1  # why\n# noqa: E501\nb = '# no comment'  # type: ignore[x]\n# noqa: E501 - a reason is a comment\n"
    assert comments(text) == 2


def test_lines_that_name_files():
    readme = "cut.py  cuts\nsee src/headstart/plan.py and views.py\npython -m headstart\nfolder/\n"
    assert lines_naming_files(readme) == 2


def test_the_widest_folder_counts_modules_only(tmp_path: Path):
    source = package_of(tmp_path, {"a/__init__.py": "", "a/x.py": "", "a/y.py": "", "b.py": "", "a/cards.json": "{}"})
    package = source / "headstart"
    assert widest_folder(modules_of(package), package) == (2, "a")


def test_circles_are_found_through_late_imports_and_packages(tmp_path: Path):
    files = {
        "a.py": "from headstart.b import name\n",
        "b.py": "def name():\n    import headstart.c.inner\n",
        "c/__init__.py": "",
        "c/inner.py": "from headstart import a, d\n",
        "d.py": "from headstart.c.inner import what\nfrom headstart import nothing\n",
        "e.py": "from headstart.a import x\nimport json\n",
    }
    imports = imports_of(modules_of(package_of(tmp_path, files) / "headstart"))
    assert imports["b"] == {"c.inner"}
    assert imports["c.inner"] == {"a", "d"}
    assert circles(imports) == [["a", "b", "c.inner", "d"]]
    assert circles({name: targets - {"c.inner"} for name, targets in imports.items()}) == []


def test_public_names_are_those_at_the_top_level():
    code = "A = 1\nB: int = 2\n_c = 3\ndef d():\n    e = 4\nclass F:\n    g = 5\nobject.h = 6\n"
    assert public_names(house_figures.ast.parse(code)) == {"A", "B", "d", "F"}


def test_repeated_names_say_where(tmp_path: Path):
    files = {
        "a.py": "State = int\n",
        "b/__init__.py": "",
        "b/c.py": "class State: ...\nOnce = 1\n",
        "d.py": "_State = 1\n",
    }
    modules = modules_of(package_of(tmp_path, files) / "headstart")
    assert repeated_names(modules) == {"State": ["a", "b.c"]}


def test_memories_are_json_names_in_the_estimates_alone(tmp_path: Path):
    files = {"engine/costs/speed.py": "FILE = 'speeds.json'\n", "runs/folder.py": "FILE = 'data.json'\n"}
    assert memories(modules_of(package_of(tmp_path, files) / "headstart")) == {"speeds.json"}


def test_the_table_has_a_column_a_checkout(tmp_path: Path):
    (tmp_path / "README.md").write_text("a.py: one\n")
    figures = static_figures(package_of(tmp_path, {"a.py": "# why\nb = c['d']\n", "engine/costs/x.py": "1\n"}))
    assert figures["lines in modules"] == "3 in 3"
    assert figures["README lines that name files"] == "1"
    assert figures["string keys per 1,000 lines"] == "333.3 (1)"
    assert figures["comments per 100 lines"] == "33.33 (1)"
    assert figures["runtime estimates"] == "1 lines, 1 files, 1 folders"
    text = table({"old": {"a": "1"}, "new": {"a": "2", "b": "3"}})
    assert text.splitlines() == ["| figure | old | new |", "|---|---|---|", "| a | 1 | 2 |", "| b | - | 3 |"]


def test_a_folder_without_the_package_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="expected the folder that holds `headstart`"):
        static_figures(tmp_path)


@pytest.mark.slow
def test_this_checkout_has_figures(capsys: pytest.CaptureFixture[str]):
    house_figures.main(["--no-runs", "--names"])
    printed = capsys.readouterr().out
    assert "| comments per 100 lines | " in printed
    assert "frames to forward" not in printed
