"""The three exercises on CIFAR-10: which network, which strategy, which learning rate. Each is one command.

    HEADSTART_DATA=FOLDER python benchmarks/exercises.py WHAT [--quick] [--seeds N] [--first-seed N]

FOLDER holds cifar10.tar (folders train and test of class folders). 1,000 labelled images, 100 of each class, teach;
2,000 are test images. The command that does the same by hand is printed first. An interrupted exercise goes on where it
was. The full form writes its section of docs/exercises.md; --quick takes at most five minutes and writes nothing.

- models: feature extraction with three networks whose weights can be had offline, and three whose weights would have
  to be downloaded: they run with random weights for time, memory and speed.
- strategies: feature extraction, discriminative, gradual, all layers from the probe, and headstart's default.
- learning_rates: one learning rate for the whole network, from 1e-2 to 1e-6.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from exercise_tables import ExerciseName, section, write_curves
from sections import replace_section

from headstart.comparison.record import ComparisonRecord, read_comparison_record

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "exercises.md"
TRUNK = "mobilenet_v2"
"""Stands for the trunk that scripts/extract_mobilenet_trunk.py writes."""


@dataclass(frozen=True)
class Exercise:
    """What `headstart compare` is asked."""

    what: ExerciseName
    values: tuple[str, ...]
    options: tuple[str, ...]
    seeds: int
    quick_values: tuple[str, ...]


EXERCISES: dict[str, Exercise] = {
    "models": Exercise(
        "models",
        ("tf_efficientnet_lite0", "tf_efficientnet_lite2", TRUNK, "resnet18", "resnet50", "efficientnet_b0"),
        ("--input-size", "128"),
        3,
        ("tf_efficientnet_lite0", TRUNK, "resnet18"),
    ),
    "strategies": Exercise(
        "strategies",
        ("feature_extraction", "discriminative", "gradual", "probe_then_tune", "progressive"),
        ("--model", "tf_efficientnet_lite2", "--input-size", "160"),
        3,
        ("feature_extraction", "discriminative", "gradual", "probe_then_tune", "progressive"),
    ),
    "learning_rates": Exercise(
        "learning_rates",
        ("1e-2", "1e-3", "1e-4", "1e-5", "1e-6"),
        ("--input-size", "128"),
        3,
        ("1e-2", "1e-3", "1e-4", "1e-5", "1e-6"),
    ),
}


def command_of(exercise: Exercise, *, data: Path, trunk: Path, out: Path, options: argparse.Namespace) -> list[str]:
    """`headstart compare ...`, or how to go on where the folder is there already."""
    if (out / "comparison.yaml").is_file():
        return ["headstart", "compare", "--resume", str(out)]
    values = exercise.quick_values if options.quick else exercise.values
    named = [f"{TRUNK}:file:{trunk}" if value == TRUNK else value for value in values]
    words = ["headstart", "compare", exercise.what, str(data), f"--{exercise.what}", ",".join(named)]
    if options.quick:
        words += ["--quick"]
    else:
        words += [*exercise.options, "--limit-train", "100/class", "--limit-test", "200/class"]
        words += ["--seeds", str(options.seeds or exercise.seeds)]
    if options.first_seed:
        words += ["--seed", str(options.first_seed)]
    return [*words, "--out", str(out)]


def run(name: str, options: argparse.Namespace) -> ComparisonRecord:
    """Record of an exercise, which is run or resumed."""
    exercise, data = EXERCISES[name], Path(os.environ["HEADSTART_DATA"]) / "cifar10.tar"
    suffix = ("-quick" if options.quick else "") + (f"-{options.first_seed}" if options.first_seed else "")
    out = options.out or ROOT / "build" / "exercises" / f"{name}{suffix}"
    trunk = ROOT / "build" / "mobilenet_v2.safetensors"
    if TRUNK in exercise.values and not trunk.is_file():
        subprocess.run([sys.executable, str(ROOT / "scripts" / "extract_mobilenet_trunk.py"), str(trunk)], check=True)
    if not options.table_only:
        command = command_of(exercise, data=data, trunk=trunk, out=out, options=options)
        print(shlex.join(command), flush=True)
        subprocess.run([sys.executable, "-m", "headstart", *command[1:]], check=True)
    return read_comparison_record(out)


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exercise", choices=EXERCISES)
    parser.add_argument("--quick", action="store_true", help="a first look in at most five minutes")
    parser.add_argument("--seeds", type=int, help="how many; default: those of the published table")
    parser.add_argument("--first-seed", type=int, default=0, help="to repeat it with others")
    parser.add_argument("--out", type=Path, help="folder of the comparison; default: under build/exercises")
    parser.add_argument("--table-only", action="store_true", help="run nothing, write the section anew")
    options = parser.parse_args()
    record = run(options.exercise, options)
    text = section(options.exercise, record)
    print(text)
    if not (options.quick or options.first_seed):
        replace_section(f"exercise-{options.exercise}", text, DOCS)
        if options.exercise != "models":  # whose heads are solved: there are no epochs
            write_curves(options.exercise, record)


if __name__ == "__main__":
    main()
