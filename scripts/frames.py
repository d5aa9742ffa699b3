"""How many functions of headstart lie between the function a user calls and the `forward` of the network.

    python scripts/frames.py "cached activations" EMPTY_FOLDER      # of the headstart that this Python imports

A folder of generated images is trained on for one epoch, with cached activations or from pixels; at every training step
the Python stack is read where it enters the network. Counted are functions of the package between the public one and
the network, both excluded: `train -> fit -> train_step -> network` has two frames. A decorator of the public function
is not counted, and nothing of torch or the standard library; every other function of ours is.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import CodeType

    from torch import nn

FEEDS: Final = {"cached activations": "partial", "pixels": "full"}
"""Feed of a training step -> the strategy that uses it when images are not augmented."""
MODEL: Final = "tf_efficientnet_lite0"
CLASSES: Final = 3
IMAGES_A_CLASS: Final = 12
SIDE: Final = 48


def frames_to_forward(public: Callable[..., object], *args: object, package: Path, **options: object) -> list[str]:
    """Functions of `package` from a public function down to the network at a training step, outermost first.

    Args:
        public: Function that a user calls; it trains for at least one step, in this thread.
        args: What it is called with.
        package: Folder of the package, such as src/headstart.
        options: Keywords it is called with.

    Returns:
        Of all training steps the longest list; its length is the figure. The public function is left out, and so is
        a decorator around it.

    Raises:
        RuntimeError: no training step was seen, so there is nothing to count.
    """
    stacks: set[tuple[str, ...]] = set()
    with _watched_forward(package, inspect.unwrap(public).__code__, stacks):
        public(*args, **options)
    if not stacks:
        raise RuntimeError("no training step entered a network; expected a run with at least one tuned epoch")
    longest = max(stacks, key=len)
    return list(longest)


@contextmanager
def _watched_forward(package: Path, top: CodeType, stacks: set[tuple[str, ...]]) -> Iterator[None]:
    """Collect the stack at each call that enters the network while gradients are recorded."""
    import torch
    from torch.nn.modules.module import register_module_forward_pre_hook

    def look(module: nn.Module, inputs: object) -> None:
        if torch.is_grad_enabled() and not _is_ours(module, package):
            stacks.add(_stack(package, top))

    hook = register_module_forward_pre_hook(look)
    try:
        yield
    finally:
        hook.remove()
        stacks.discard(())


def _is_ours(module: nn.Module, package: Path) -> bool:
    """Whether the package runs the module's forward itself: a part of a cut network is a step on the way."""
    return Path(type(module).forward.__code__.co_filename).is_relative_to(package)


def _stack(package: Path, top: CodeType) -> tuple[str, ...]:
    """Functions of the package below the one with the code `top`; empty below another module of the network."""
    found, entered = [], 0
    frame = inspect.currentframe()
    while frame is not None and frame.f_code is not top:
        code = frame.f_code
        if code.co_name == "_call_impl":
            entered += not _is_ours(frame.f_locals["self"], package)
        elif Path(code.co_filename).is_relative_to(package):
            module = Path(code.co_filename).relative_to(package).with_suffix("").as_posix().replace("/", ".")
            found.append(f"{module}.{code.co_qualname}")
        frame = frame.f_back
    return tuple(reversed(found)) if entered == 1 and frame is not None else ()


def make_images(root: Path) -> Path:
    """A folder of class folders whose images differ in colour, so that one epoch has something to learn."""
    import numpy as np
    from PIL import Image

    for label in range(CLASSES):
        folder = root / f"class_{label}"
        folder.mkdir(parents=True)
        for number in range(IMAGES_A_CLASS):
            pixels = np.random.default_rng([label, number]).integers(0, 256, (SIDE, SIDE, 3))
            pixels[..., label] //= 4
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
    return root


def count_here(feed: str, workplace: Path) -> list[str]:
    """`frames_to_forward` of the `headstart` that this process imports.

    Args:
        feed: A key of `FEEDS`.
        workplace: Empty folder for images and the run.
    """
    import headstart

    # The public function was called `fit` before it became `train`.
    public: Callable[..., object] = headstart.fit if "fit" in headstart.__all__ else headstart.train
    return frames_to_forward(
        public,
        make_images(workplace / "photos"),
        package=Path(headstart.__file__).parent,
        strategy=FEEDS[feed],
        model=MODEL,
        epochs=1,
        augmentation="none",
        input_size=SIDE,
        batch_size=8,
        out=workplace / "run",
        progress="none",
    )


def count(source: Path, feed: str, workplace: Path) -> list[str]:
    """`frames_to_forward` of the package under `source`, in a subprocess.

    Args:
        source: Folder that holds `headstart`.
        feed: A key of `FEEDS`.
        workplace: Empty folder for images, run and caches.

    Raises:
        RuntimeError: the training failed; with what it printed.
    """
    source, workplace = source.resolve(), workplace.resolve()
    environment = {**os.environ, "PYTHONPATH": str(source), "HEADSTART_HOME": str(workplace / "home")}
    command = [sys.executable, __file__, feed, str(workplace)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=workplace)
    if done.returncode != 0:
        raise RuntimeError(f"training from {source} with {feed} failed:\n{done.stderr}")
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    print(json.dumps(count_here(sys.argv[1], Path(sys.argv[2]))))
