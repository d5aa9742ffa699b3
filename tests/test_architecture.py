"""The rules of the house as tests: arrows go down only, doors are light, every module is tested."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from checkout import ROOT

PACKAGE = ROOT / "src" / "headstart"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
OWN = [path for path in MODULES if path.name != "__init__.py"]

# Lowest first. A package may use those above it in this list; packages of one line do not know each other.
FLOORS: list[set[str]] = [
    {"errors", "amounts", "arrays"},
    {"arguments", "findings", "files", "input_spec"},
    {"machine"},
    {"measures"},
    {"knowledge"},
    {"plan"},
    {"runs"},
    {"data"},
    {"networks"},
    {"solvers"},
    {"engine"},
    {"html"},
    {"prediction"},
    {"training"},
    {"advice", "comparison", "delivery", "diagnosis", "distributed"},
    {"inspection", "reports"},
    {"workflow"},
    {"apps"},
    {"__main__"},
]
FLOOR_OF = {package: number for number, floor in enumerate(FLOORS) for package in floor}

# Rule: a component gets its own settings; only these know the whole plan.
KNOW_THE_PLAN = {
    "plan.plan",
    "plan.assembly",
    "plan.hyperrule",
    "plan.image_counts",
    "plan.presets",
    "runs.folder",
    "runs.record",
    "advice.advisor",
    "advice.result",
    "training.training",
    "workflow.advising",
    "workflow.plans",
    "workflow.images",
    "workflow.planning",
    "workflow.training.build",
    "workflow.training.resume",
    "workflow.training.train",
    "workflow.trial",
    "workflow.estimator.estimator",
    "apps.cli.plan",
    "apps.cli.train",
    "apps.library.training",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path) -> set[str]:
    """Every module of the package that the file imports anywhere, with imported names appended."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("headstart"):
            base = node.module.removeprefix("headstart").removeprefix(".")
            found |= {f"{base}.{alias.name}".strip(".") for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("headstart.") for a in node.names if a.name.startswith("headstart.")}
    return found


def test_images_are_decoded_in_one_place():
    """A new format is taught once: whoever needs pixels asks `data.loading`, which alone knows the decoder."""
    decoder = "data.decoders.raster"
    knowing = {
        name_of(path) for path in OWN if {f"{decoder}.decode", f"{decoder}.decode_with_facts"} & imports_of(path)
    }
    assert knowing == {"data.loading"}


def test_all_modules_are_seen():
    assert len(OWN) >= 65


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_arrows_go_down_only(path: Path):
    owner = name_of(path).split(".")[0]
    for target in imports_of(path):
        top = target.split(".")[0]
        assert top == owner or FLOOR_OF[top] < FLOOR_OF[owner], f"{name_of(path)} must not import {target}"


def test_only_a_few_modules_know_the_whole_plan():
    knowing = {name_of(path) for path in OWN if "plan.plan.Plan" in imports_of(path)} | {"plan.plan"}
    assert knowing == KNOW_THE_PLAN


def circles_in(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan 1972), or of one that imports itself."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for target in sorted(graph[module]):
            if target not in number:
                visit(target)
                lowest[module] = min(lowest[module], lowest[target])
            elif target in stack:
                lowest[module] = min(lowest[module], number[target])
        if lowest[module] == number[module]:
            circle = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(circle) > 1 or module in graph[module]:
                found.append(sorted(circle))

    for module in graph:
        if module not in number:
            visit(module)
    return found


def test_circles_are_found():
    assert circles_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}, "e": {"e"}}) == [["b", "c"], ["e"]]


def test_no_modules_import_each_other_in_a_circle():
    """Imports inside functions and under TYPE_CHECKING count too: they are circles that happen to work."""
    names = {name_of(path) for path in OWN}
    graph = {}
    for path in OWN:
        targets = {target if target in names else target.rpartition(".")[0] for target in imports_of(path)}
        graph[name_of(path)] = targets & names
    assert sum(map(len, graph.values())) > 500
    assert circles_in(graph) == []


def test_no_folder_holds_more_than_twenty_modules():
    folders = {path.parent for path in OWN}
    assert len(folders) > 30
    crowded = {str(folder): count for folder in folders if (count := len(list(folder.glob("*.py"))) - 1) > 20}
    assert crowded == {}


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_modules_stay_small(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_functions_stay_under_fifty_lines(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and name_of(path) != "apps.cli.train":  # one option a line
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= 50, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_every_module_has_its_test_file(path: Path):
    folder = ROOT / "tests" / path.relative_to(PACKAGE).parent
    assert (folder / f"test_{path.stem}.py").is_file()


def frames_up_to(function: object) -> list[str]:
    """Names of the package's frames between here and a public function, innermost first; empty without it."""
    code, names, frame = inspect.unwrap(function).__code__, [], sys._getframe(1)
    while frame is not None:
        if frame.f_code is code:
            return names
        if Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    return []


@pytest.mark.slow
@pytest.mark.parametrize(("feed", "options"), [("pixels", {"strategy": "full"}), ("stored", {"strategy": "partial"})])
def test_five_frames_at_most_lie_between_train_and_the_networks_forward(
    image_folder: Path, tmp_path: Path, feed: str, options: dict
):
    """Every layer that runs while weights are trained, on images and on cached activations."""
    import torch

    import headstart
    from headstart.runs.event import Event
    from headstart.runs.observers import Observer

    depths: dict[int, list[str]] = {}
    events: list[str] = []

    class Events(Observer):
        def noted(self, event: Event) -> None:
            events.append(event.event)

    def count(module: object, inputs: object) -> None:
        names = frames_up_to(headstart.train)
        if torch.is_grad_enabled() and "fit" in names:
            depths[len(names)] = names

    hook = torch.nn.modules.module.register_module_forward_pre_hook(count)
    try:
        headstart.train(
            image_folder, out=tmp_path / "run", input_size=32, batch_size=8, epochs=1, observer=Events(), **options
        )
    finally:
        hook.remove()
    assert ("activations_cached" in events) == (feed == "stored")
    assert depths
    assert max(depths) <= 5, depths[max(depths)]


DOORS = {"apps", "workflow"}
"""Their public functions mirror each other: the command line, the library and what both call have one verb."""


def test_public_names_have_one_meaning():
    """A name that is defined twice says something else in each place, and has to be looked up: it should say which."""
    homes: dict[str, list[str]] = {}
    for path in OWN:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = [node.name]
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            else:
                names = []
            for name in names:
                if not name.startswith("_"):
                    homes.setdefault(name, []).append(name_of(path))
    several = {name: modules for name, modules in homes.items() if len(modules) > 1}
    assert len(several) <= 30, several
    elsewhere = {name for name, modules in several.items() if not {m.split(".")[0] for m in modules} <= DOORS}
    assert len(elsewhere) <= 12, elsewhere


def test_no_folder_hides_what_it_holds():
    assert not {path.stem for path in MODULES} & {"utils", "common", "misc", "helpers"}


def test_coverage_names_every_row_of_the_spec():
    table = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    rows = {"A": range(8), "B": range(1, 13), "C": range(1, 12), "D": range(1, 6), "E": range(1, 9), "F": range(9)}
    rows |= {"G": range(1, 7), "H": range(1, 5)}
    missing = [f"{letter}{n}" for letter, numbers in rows.items() for n in numbers if f"| {letter}{n} |" not in table]
    assert not missing


def loaded_by(code: str) -> set[str]:
    """Top-level modules a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


CLI = """
import sys
from headstart.apps.cli import main as cli
sys.argv = ["headstart", {}]
try:
    cli.main()
except SystemExit as stop:
    assert stop.code == 0, stop.code
"""


@pytest.mark.parametrize(
    "code",
    [
        CLI.format("'--help'"),
        CLI.format("'train', '--help'"),
        CLI.format("'models', '--json'"),
        CLI.format("'models', 'resnet50'"),
        CLI.format("'cache'"),
        CLI.format("'embed', '--help'"),
        CLI.format("'compare', '--help'"),
        CLI.format("'report', '--help'"),
        CLI.format("'runs', 'docs', '--json'"),
        CLI.format("'web', '--help'"),
        CLI.format("'doctor', '--help'"),
        "from headstart.apps.pages import decide_page, transfer_page, compare_page, site",
        CLI.format("'probe', '--help'"),
        CLI.format("'shortlist', '--help'"),
        CLI.format("'advise', '--images', '800', '--domain', 'medical', '--json'"),
        "import headstart; headstart.advise(images=800, similarity='high').to_dict()",
        CLI.format("'models', '--max-params', '10M', '--min-top1', '75', '--sort', 'speed', '--pareto'"),
        "import headstart; headstart.Plan; headstart.Run; headstart.Request; headstart.find_model('resnet18')",
        "from headstart.plan.request import *; from headstart.workflow.plans import *; "
        "make_plan(Request(DataPlan(source='x'))).to_yaml()",
        "import headstart.data.checks.image_checks, headstart.data.preprocess, headstart.data.splits",
        "import headstart.knowledge.domains",
        "import headstart.engine.costs.estimate, headstart.engine.store.cached_rows, headstart.engine.costs.memory",
        "import headstart.prediction.predictor, headstart.training.loop, headstart.workflow.training.fit_run",
        "import headstart.workflow.evaluating, headstart.workflow.embedding, headstart.workflow.shortlisting",
    ],
)
def test_light_commands_never_import_torch(code: str):
    assert not loaded_by(code) & {"torch", "torchvision", "timm", "scipy", "sklearn"}


def test_check_of_files_never_imports_torch(image_folder: Path):
    assert "torch" not in loaded_by(CLI.format(f"'check', {str(image_folder)!r}, '--checks', 'files'"))


def test_public_names_are_these():
    import headstart

    assert headstart.__all__ == sorted(headstart.__all__)
    for name in headstart.__all__:
        assert getattr(headstart, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        headstart.nothing  # noqa: B018


def test_command_line_options_are_these():
    """The command line is a contract: a change here is a change for every script of every user."""
    import typer

    from headstart.apps.cli.main import app

    commands = typer.main.get_command(app).commands
    options = {name: sorted(o for p in c.params for o in p.opts if o != "--help") for name, c in commands.items()}
    assert options == {
        "compare": [
            *(
                "--allow-noncommercial",
                "--augmentation",
                "--bands",
                "--bits",
                "--contrast",
                "--domain",
                "--epochs",
                "--folds",
                "--grid",
                "--group",
            ),
            "--halving",
            *(
                "--input-size",
                "--json",
                "--learning-rates",
                "--limit-test",
                "--limit-train",
                "--links",
                "--metric",
                "--model",
            ),
            *("--models", "--out"),
            *(
                "--quick",
                "--resize",
                "--resume",
                "--seed",
                "--seeds",
                "--strategies",
                "--strategy",
                "--val",
                "--window",
                "data",
                "what",
            ),
        ],
        "demo": ["--json", "--out"],
        "check": [
            *(
                "--augmentation",
                "--bands",
                "--bits",
                "--checks",
                "--contrast",
                "--domain",
                "--fix",
                "--group",
                "--image-size",
                "--imgsz",
                "--input-size",
                "--json",
                "--links",
                "--model",
            ),
            *(
                "--near-duplicates",
                "--page",
                "--preview",
                "--resize",
                "--seed",
                "--val",
                "--window",
                "--with-images",
                "data",
            ),
        ],
        "train": [
            *("--allow-noncommercial", "--augmentation", "--bands", "--batch-size", "--bits", "--budget", "--channels"),
            *(
                "--contrast",
                "--device",
                "--domain",
                "--epochs",
                "--explain",
                "--find-lr",
                "--fold",
                "--grain",
                "--group",
                "--head",
                "--head-lr",
            ),
            *(
                "--head-solver",
                "--image-size",
                "--imbalance",
                "--imgsz",
                "--input-size",
                "--interpolate",
                "--json",
                "--limit-test",
            ),
            *(
                "--limit-train",
                "--links",
                "--lr",
                "--lr-rule",
                "--metric",
                "--model",
                "--optimizer",
                "--out",
                "--patience",
                "--plan",
                "--rescue",
                "--resize",
            ),
            *("--resume", "--seed", "--strategy", "--strict", "--time-limit", "--track", "--unfreeze"),
            *("--val", "--weight-decay", "--window", "--workers", "data"),
        ],
        "advise": [
            *("--bands", "--bits", "--budget", "--channels", "--classes", "--contrast", "--cores", "--domain", "--gpu"),
            *("--group", "--images", "--json", "--model", "--out", "--resolution", "--similarity", "--unlabelled"),
            *("--window", "-o", "data"),
        ],
        "cache": ["--clear", "--json", "--limit", "--model", "--show"],
        "doctor": ["--json", "run"],
        "embed": [
            "--allow-noncommercial",
            "--bands",
            "--bits",
            "--channels",
            "--contrast",
            "--input-size",
            "--json",
            "--layer",
            "--links",
            "--model",
            "--out",
            "--precision",
            "--resize",
            "--views",
            "--window",
            "-o",
            "data",
        ],
        "evaluate": ["--group", "--json", "--links", "--seen", "--split", "bundle", "data"],
        "plan": [
            *("--allow-noncommercial", "--augmentation", "--bands", "--batch-size", "--bits", "--budget", "--channels"),
            *(
                "--contrast",
                "--device",
                "--domain",
                "--epochs",
                "--find-lr",
                "--fold",
                "--grain",
                "--group",
                "--head",
                "--head-lr",
                "--head-solver",
            ),
            *(
                "--image-size",
                "--imbalance",
                "--imgsz",
                "--input-size",
                "--interpolate",
                "--json",
                "--limit-test",
                "--limit-train",
            ),
            *(
                "--links",
                "--lr",
                "--lr-rule",
                "--metric",
                "--model",
                "--optimizer",
                "--out",
                "--patience",
                "--rescue",
                "--resize",
                "--seed",
                "--strategy",
            ),
            *("--strict", "--time-limit", "--unfreeze", "--val", "--weight-decay", "--window", "--workers", "-o"),
            *("data", "file"),
        ],
        "pretrain": [
            *("--allow-noncommercial", "--bands", "--batch-norm", "--batch-size", "--bits", "--budget", "--contrast"),
            *(
                "--domain",
                "--epochs",
                "--image-size",
                "--imgsz",
                "--init",
                "--input-size",
                "--json",
                "--links",
                "--lr",
            ),
            *("--out", "--resume", "--seed", "--time-limit", "--window", "data"),
        ],
        "predict": ["--json", "--links", "--out", "--strict", "--top", "-o", "bundle", "files"],
        "probe": [
            "--allow-noncommercial",
            "--bands",
            "--bits",
            "--channels",
            "--chart",
            "--contrast",
            "--group",
            "--json",
            "--limit",
            "--model",
            "--out",
            "--patches",
            "--run",
            "--seed",
            "--window",
            "-o",
            "data",
        ],
        "models": [
            *("--commercial", "--contains", "--domain", "--family", "--json", "--library", "--limit", "--max-gmacs"),
            *("--max-input", "--max-params", "--measure", "--min-speed", "--min-top1", "--pareto", "--sizes", "--sort"),
            "name",
        ],
        "report": ["--json", "--out", "--with-images", "-o", "runs"],
        "runs": [
            *("--compare", "--data", "--json", "--min-accuracy", "--model", "--since", "--sort", "--state"),
            *("--strategy", "folders"),
        ],
        "shortlist": [
            "--allow-noncommercial",
            "--bands",
            "--bits",
            "--channels",
            "--commercial",
            "--contains",
            "--contrast",
            "--domain",
            "--family",
            "--group",
            "--images",
            "--input-size",
            "--json",
            "--keep",
            "--library",
            "--max-gmacs",
            "--max-input",
            "--max-params",
            "--min-speed",
            "--min-top1",
            "--models",
            "--pareto",
            "--seed",
            "--sizes",
            "--window",
            "data",
        ],
        "web": ["--host", "--open", "--port"],
    }


COPYLEFT = ("GPL", "General Public License")
PERMITTED = ("LGPL", "Lesser General Public")
# Build and test tools that are run, never linked or shipped; and packages also offered under a permissive licence.
EXCEPTIONS: set[str] = set()


def licence_of(distribution: metadata.Distribution) -> str:
    fields = distribution.metadata
    classifiers = [c for c in fields.get_all("Classifier") or [] if c.startswith("License ::")]
    return " | ".join([fields.get("License-Expression") or "", (fields.get("License") or "")[:100], *classifiers])


def test_nothing_installed_is_under_the_gpl_alone():
    """AGPL and GPL would bind whoever ships a classifier; a package offered under several licences needs one other."""
    found = {}
    distributions = list(metadata.distributions())
    assert len(distributions) > 40
    for distribution in distributions:
        licence = licence_of(distribution)
        copyleft = any(word in licence for word in COPYLEFT) and not any(word in licence for word in PERMITTED)
        permissive = any(word in licence for word in ("MIT", "BSD", "Apache", "PSF", " OR ", "Mozilla"))
        if copyleft and not permissive and distribution.metadata["Name"] not in EXCEPTIONS:
            found[distribution.metadata["Name"]] = licence
    assert not found
