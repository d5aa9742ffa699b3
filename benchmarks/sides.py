"""headstart and the scripts of peers/ as sides of one comparison: what each is told, and what comes back."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
from measured import Row, in_new_process

PEERS = Path(__file__).parent / "peers"

Task = Literal["full", "pace", "accuracy"]
"""full: the whole recipe at 224 px. pace: two epochs at 224 px, the rest extrapolated. accuracy: at 128 px."""
EpochKind = Literal["any", "frozen", "whole"]

SIZE = {"full": 224, "pace": 224, "accuracy": 128}
ACCURACY_EPOCHS = 10
FASTAI_EPOCHS = 5
FROZEN_SHARE = 0.4
"""Of Lightning's epochs: its documentation releases the backbone at epoch 10; we give it 25."""


class SideError(Exception):
    """A side did not do what it was asked for."""


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement to make."""

    task: Task
    set: str
    folder: Path
    seed: int
    epochs: int
    """Of the whole recipe that `full` runs and `pace` stands for."""

    @property
    def size(self) -> int:
        """Pixels of a side of the network's input."""
        return SIZE[self.task]


@dataclass(frozen=True, slots=True)
class Side:
    """Someone who learns from FOLDER/train and answers for FOLDER/val, in a process of its own."""

    name: str
    learns: Literal["head", "all"]
    """What is trained; decides which strategy of ours it is compared with."""
    says: str
    """For the reader of the table."""
    epochs: Literal["none", "alike", "fastai", "lightning"] = "none"
    script: str | None = None
    """In peers/; None is headstart itself."""
    arguments: tuple[str, ...] = ()
    """For headstart: options of `train`."""
    sizes: tuple[int, ...] = (224, 128)

    def recipe(self, task: Task, epochs: int) -> list[EpochKind]:
        """What every epoch of its recipe trains; [] where nothing goes in epochs."""
        epochs = ACCURACY_EPOCHS if task == "accuracy" else epochs
        if self.epochs == "alike":
            return ["any"] * epochs
        if self.epochs == "fastai":
            return ["frozen", *["whole"] * min(FASTAI_EPOCHS, epochs)]
        if self.epochs == "lightning":
            frozen = max(1, round(FROZEN_SHARE * epochs))
            return ["frozen"] * frozen + ["whole"] * (epochs - frozen)
        return []

    def command(self, job: Job, out: Path) -> list[str]:
        """What Python is given for a job; headstart writes its run to `out`."""
        if self.script is None:
            size = ["--input-size", str(job.size)] if job.task == "accuracy" else []
            options = ["--seed", str(job.seed), "--json", "--out", str(out), *self.arguments, *size]
            return ["-m", "headstart", "train", str(job.folder), *options]
        run = self.run_epochs(job)
        by_epochs = {
            "none": [str(job.size)],
            "alike": [str(len(run)), str(job.seed), str(job.size), str(self.validate_every(job))],
            "fastai": [str(run.count("whole")), str(job.seed), str(job.size)],
            "lightning": [
                *(str(len(run)), str(job.seed), str(job.size), str(self.validate_every(job)), str(run.count("frozen")))
            ],
        }
        return [str(PEERS / self.script), str(job.folder), *by_epochs[self.epochs], *self.arguments]

    def run_epochs(self, job: Job) -> list[EpochKind]:
        """The epochs that are really run: of a `pace` two, one of each kind where there are two kinds."""
        recipe = self.recipe(job.task, job.epochs)
        if job.task != "pace" or len(recipe) <= 2:
            return recipe
        return [recipe[0], recipe[-1]]

    def validate_every(self, job: Job) -> int:
        """Every epoch where time counts; at the end alone where only the last answer counts."""
        return max(1, len(self.run_epochs(job))) if job.task == "accuracy" else 1

    def whole_seconds(self, job: Job, seconds: float, epoch_seconds: Sequence[float]) -> float:
        """Seconds of the whole recipe: those measured, with the epochs not run at the mean of their kind."""
        run = self.run_epochs(job)
        if not run:
            return seconds
        if len(epoch_seconds) != len(run):
            raise SideError(f"{self.name} did {len(epoch_seconds)} epochs; {len(run)} were asked for")
        mean = {
            kind: sum(s for s, k in zip(epoch_seconds, run, strict=True) if k == kind) / run.count(kind) for kind in run
        }
        return seconds - sum(epoch_seconds) + sum(mean[kind] for kind in self.recipe(job.task, job.epochs))


SIDES: tuple[Side, ...] = (
    Side(
        "headstart",
        "head",
        "`headstart train FOLDER --strategy feature_extraction`",
        arguments=("--strategy", "feature_extraction"),
    ),
    Side("expert", "head", "timm's features once (NCHW), then scikit-learn", script="expert_lines.py"),
    Side(
        "expert-nhwc",
        "head",
        "the same in channels_last",
        script="expert_lines.py",
        arguments=("channels_last",),
    ),
    Side("vyntri", "head", "vyntri with its defaults", script="vyntri_lines.py", sizes=(224,)),
    Side(
        "headstart-default",  # of the time when it was measured first; `default_strategy.py` measures the present one
        "all",
        "`headstart train FOLDER --strategy probe_then_tune`",
        arguments=("--strategy", "probe_then_tune"),
    ),
    Side(
        "strong-frozen", "head", "strong hand-written loop, frozen backbone", epochs="alike", script="strong_frozen.py"
    ),
    Side("fastai", "all", "fastai, `fine_tune(5)`", epochs="fastai", script="fastai_fine_tune.py"),
    Side("tutorial-fixed", "head", "the tutorial's loop, last layer", epochs="alike", script="tutorial_fixed.py"),
    Side("lightning", "all", "Lightning with BackboneFinetuning", epochs="lightning", script="lightning_finetuning.py"),
    Side(
        "tutorial-finetuned", "all", "the tutorial's loop, all layers", epochs="alike", script="tutorial_finetuned.py"
    ),
)
"""Shortest first."""


def measure(side: Side, job: Job) -> Row:
    """Run a side in a fresh process, headstart with an empty $HEADSTART_HOME.

    Returns:
        seconds of the whole process, whole_seconds of the whole recipe, accuracies, and predicted: the class numbers
        of the last and of the best epoch for the images of val in the order of their sorted paths.

    Raises:
        RuntimeError: the process failed.
        SideError: it left out images of val, or epochs.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        answer, seconds = in_new_process(side.command(job, out), home=Path(scratch) / "home")
        if side.script is None:
            answer = _of_headstart(answer, out, job.folder)
    if answer["truth"] != truth_of(job.folder):
        raise SideError(f"{side.name} did not answer for every image of {job.folder}/val in the order of the paths")
    whole = side.whole_seconds(job, seconds, answer["epoch_seconds"])
    answers = {"last": answer.pop("predicted"), "best": answer.pop("predicted_best")}
    return {**answer, "seconds": seconds, "whole_seconds": whole, "predicted": answers}


def classes_of(folder: Path) -> list[str]:
    """Class names in the order of their numbers."""
    return sorted(path.name for path in (folder / "train").iterdir())


def truth_of(folder: Path) -> list[int]:
    """The class number of every image of val, in the order of the sorted paths."""
    numbers = {name: number for number, name in enumerate(classes_of(folder))}
    files = sorted((path for path in (folder / "val").glob("*/*")), key=lambda path: path.parts)
    return [numbers[path.parent.name] for path in files]


def _of_headstart(answer: Row, out: Path, folder: Path) -> Row:
    numbers = {name: number for number, name in enumerate(classes_of(folder))}
    rows = sorted(pq.read_table(out / "predictions.parquet").to_pylist(), key=lambda row: Path(row["image"]).parts)
    predicted = [numbers[row["predicted"]] for row in rows]
    return {
        "accuracy": answer["test"]["accuracy"],
        "best_accuracy": answer["test"]["accuracy"],
        "epoch_seconds": [],
        "predicted": predicted,
        "predicted_best": predicted,
        "truth": [numbers[row["label"]] for row in rows],
        "kept": answer["selected"]["checkpoint"],
        "own_seconds": answer["seconds"],
    }
