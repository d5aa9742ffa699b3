"""A network divided at a cut point between two layer groups: prefix and suffix, whose composition is the whole.

Both parts run the network's own modules. A frozen prefix is a pure function of the image: the crossing tensors can be
computed once, on any engine, and stored; the suffix trains on them as the network would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.engine.prefix.graph import graph_of
from headstart.engine.prefix.parts import Part, Taps
from headstart.engine.prefix.program import IMAGES, Program, Step, Template, Value, marks, tensors_in
from headstart.engine.prefix.tracing import MODES, Form, Mode, Trace, Untraceable, sample, still, trace_modes
from headstart.errors import ModelError
from headstart.networks.channels import RANDOM_CONVOLUTIONS
from headstart.networks.groups.layers import LayerGroup, check_names, owner_by_path
from headstart.networks.heads import head_sites

_DROPOUTS = frozenset(
    f"{kind}{axes}" for kind in ("dropout", "alpha_dropout", "feature_alpha_dropout") for axes in ("", "1d", "2d", "3d")
)
"""Names of torch functions that draw random numbers in training."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One of the tensors that cross a cut point, for one image."""

    shape: tuple[int, ...]
    """Without the batch axis."""
    dtype: torch.dtype
    channels_last: bool
    """Whether (B, C, H, W) lies in memory as (B, H, W, C): in another layout other kernels run on it."""

    @property
    def bytes_per_image(self) -> int:
        """Bytes of one image, as computed, uncompressed."""
        return self.dtype.itemsize * torch.Size(self.shape).numel()


@dataclass(frozen=True)
class CutNetwork:
    """A network in two parts: `suffix(*prefix(images))` equals `network(images)`, bit for bit on the same kernels."""

    prefix: Part
    """(B, C, H, W) -> tuple of the crossing tensors, batch first. Random only where a group of it is in training."""
    suffix: Part
    """The crossing tensors, as arguments -> the network's output. Does not change them."""
    cut_point: str
    """First layer group of the suffix."""
    crossing: tuple[Crossing, ...]
    """The crossing tensors, in order."""


class NetworkGraph:
    """The steps of a network for images of one size, recorded once, from which it can be cut anywhere.

    A part that was cut goes on running the network as it is after a module was exchanged for one that takes and gives
    the same (a new head). Record again after anything else was changed.
    """

    def __init__(self, network: nn.Module, groups: Sequence[LayerGroup], *, example: Tensor) -> None:
        """Record the steps: about the time of seven images in evaluation.

        Args:
            network: Maps (B, C, H, W) images to logits. As before afterwards.
            groups: Its layer groups, stem to head.
            example: (B, C, H, W) images of the size that will come; their values do not count.

        Raises:
            ModelError: the network cannot be run on them, or its steps cannot be recorded.
        """
        self.network = network
        self.groups = tuple(groups)
        self._example = example
        # Paths of parameters and buffers too: a function that uses a tensor directly has no module to name it.
        self._owners = owner_by_path(_paths_of(network), groups)
        self._index = {group.name: index for index, group in enumerate(groups)}
        self._graph = graph_of(self._traces())
        self._levels = self._graph.levels(self._own_levels, self._draws)

    @property
    def cut_points(self) -> tuple[str, ...]:
        """Names of the groups before which there is something to cut off."""
        # Before the first group there is nothing to compute once.
        return tuple(group.name for group in self.groups[1:])

    def cut(self, cut_point: str) -> CutNetwork:
        """The network divided before the group `cut_point`; the output of the parts is compared with the whole's.

        Raises:
            ModelError: there is no such cut point, or the network cannot be cut there; says why.
        """
        check_names([cut_point], self.groups)
        if cut_point not in self.cut_points:
            raise ModelError(f"nothing lies before {cut_point}", expected=f"one of {', '.join(self.cut_points)}")
        try:
            made = self._divided(cut_point)
            # The parts are run and compared at once: a network that changes what it does with state that no trace shows
            # is refused here, not after an epoch.
            self._assert_equal(made)
        except Untraceable as error:
            raise self._refusal(cut_point, str(error)) from error
        return made

    def taps(self) -> Taps:
        """The pooled outputs of all groups but the head in one pass; a group that no tensor leaves is left out.

        Pooled: (B, C, H, W) over its positions, (B, N, C) over its tokens, (B, F) as it is.
        """
        images = Value(IMAGES, 0)
        program = self._program("evaluation", (images,), self._leaving())
        # One program for both modes: features are pooled outputs of evaluation, also while the network is in training.
        return Taps(self.network, dict.fromkeys(MODES, program), [self._graph.forms[images]])

    def tapped(self) -> Part:
        """The whole network, and in the same pass what leaves its groups, not pooled yet.

        Images -> (its output, {group: tensors}) with the steps of evaluation, whatever mode it is in.
        """
        images = Value(IMAGES, 0)
        program = self._program("evaluation", (images,), (self._graph.outputs["evaluation"], self._leaving()))
        return Part(self.network, dict.fromkeys(MODES, program), [self._graph.forms[images]])

    def _leaving(self) -> dict[str, list[Value]]:
        """Group -> what it makes and others need and that can be pooled; groups before the head that make such."""
        found: dict[str, list[Value]] = {}
        for index, group in enumerate(self.groups[:-1]):
            leaving = self._graph.crossing(self._levels, index + 1, ["evaluation"])
            # Only what the group itself makes: a skip connection that passes by would be pooled once for every group it
            # crosses.
            made_here = [v for v in leaving if self._levels[v.step] == index and _is_map(self._graph.forms[v])]
            # The head reads them as they are, whatever else it reads.
            made_here = [v for v in made_here if self._graph.steps[v.step].target != RANDOM_CONVOLUTIONS]
            if made_here:
                found[group.name] = made_here
        return found

    def _traces(self) -> Mapping[Mode, Trace]:
        # Inside the head every layer is a step of its own, so that the pooling in it comes before the cut point.
        sites = [site.path for site in head_sites(self.network) if site.role == "main"]
        opened = {parent for path in sites for parent in _parents(path)}
        named = self.network.named_modules()
        leaves = {module: path for path, module in named if path in self._owners and path not in opened}
        try:
            return trace_modes(self.network, leaves, self._example)
        except Untraceable as error:
            raise self._refusal("any cut point", str(error)) from error
        # What a forward raises depends on the library; these are the kinds that a wrong size of image leads to.
        except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"{type(self.network).__name__} cannot be run on images of {tuple(self._example.shape[1:])} ({first})",
                remedy="give an example of the size that it takes",
            ) from error

    def _own_levels(self, step: Step) -> Iterator[int]:
        """A layer without tensors (pooling, activation) puts a step into no group, wherever it is counted."""
        # Modules that hold tensors fix a step to their group; a ReLU that several groups share must not pull them
        # together.
        paths = list(step.held())
        if isinstance(step.target, str) and _holds_tensors(self.network.get_submodule(step.target)):
            paths.append(step.target)
        yield from (self._index[self._owners[path]] for path in paths if path in self._owners)

    def _draws(self, step: Step) -> bool:
        """Whether a step is dropout and nothing else."""
        if not isinstance(step.target, str):
            return getattr(step.target, "__name__", "") in _DROPOUTS
        module = self.network.get_submodule(step.target)
        # Dropout together with weights (a timm block) belongs where the weights are, whatever it draws.
        return not _holds_tensors(module) and any(map(_is_dropout, module.modules()))

    def _divided(self, cut_point: str) -> CutNetwork:
        index = self._index[cut_point]
        levels, values = self._batch_first(index)
        forms = [self._graph.forms[value] for value in values]
        crossing = tuple(Crossing(f.shape, f.dtype, f.channels_last) for f in forms if f.shape is not None)
        # The store keeps rows of images: what crosses must have one entry of the same shape for each image.
        if not values or len(crossing) < len(values):
            raise Untraceable(
                "a tensor crosses whose first axis does not grow with the batch"
                if values
                else "nothing of the images crosses"
            )
        images = Value(IMAGES, 0)
        # The prefix always runs as in evaluation: it is frozen, so its dropout and BatchNorm updates must not take
        # part.
        before = self._program("evaluation", (images,), values)
        outputs = self._graph.outputs
        # The suffix keeps both modes, because it is what trains.
        after = {mode: self._program(mode, values, outputs[mode], levels=levels, cut_index=index) for mode in MODES}
        return CutNetwork(
            prefix=Part(self.network, dict.fromkeys(MODES, before), [self._graph.forms[images]], forms),
            suffix=Part(self.network, after, forms),
            cut_point=cut_point,
            crossing=crossing,
        )

    def _batch_first(self, cut_index: int) -> tuple[dict[int, int], tuple[Value, ...]]:
        """Levels, and what crosses: functions that put more than the batch on the first axis are left to the suffix."""
        levels = dict(self._levels)
        # Moving a reshape (images x windows as one axis) to the suffix can make another one cross, so this repeats
        # until none is left; every round moves at least one step, and there are finitely many.
        while True:
            values = self._graph.crossing(levels, cut_index, MODES)
            steps = {v.step: self._graph.steps[v.step] for v in values if self._graph.forms[v].rows != 1}
            # Only functions that change nothing in place: a module belongs to its group, and a change must happen where
            # its input is.
            moved = [n for n, step in steps.items() if not isinstance(step.target, str) and not step.touched]
            if not moved:
                return levels, values
            levels.update(dict.fromkeys(moved, cut_index))

    def _program(
        self,
        mode: Mode,
        inputs: tuple[Value, ...],
        output: Template,
        *,
        levels: Mapping[int, int] | None = None,
        cut_index: int = 0,
    ) -> Program:
        """Steps from the inputs to the output, without those on images below the cut."""
        numbers = self._graph.needed(mode, marks(output), levels or self._levels, cut_index)
        steps = tuple((number, self._graph.steps[number]) for number in numbers)
        changed = [set(step.touched) & set(inputs) for _, step in steps]
        # A view shares memory with its base; both were copied on entry, so a change of one would no longer reach the
        # other.
        if any(len(values) > 1 for values in changed):
            raise Untraceable("two of the crossing tensors share memory that is changed afterwards")
        # Inputs of the suffix are rows of the store or outputs of the prefix: the caller's, so in-place steps work on
        # copies.
        dropped = {value for _, step in steps if self._drops_in_place(step) for value in step.values()}
        return Program(inputs, steps, output, frozenset(set().union(*changed) | (dropped & set(inputs))))

    def _drops_in_place(self, step: Step) -> bool:
        """Dropout that in training, unlike in the recorded evaluation, changes what it is given."""
        if not isinstance(step.target, str):
            return False
        # In evaluation, dropout returns its input unchanged, so the trace shows no write; in training it would
        # overwrite rows.
        modules = self.network.get_submodule(step.target).modules()
        return any(_is_dropout(module) and getattr(module, "inplace", False) for module in modules)

    def _assert_equal(self, made: CutNetwork) -> None:
        images = sample(self._example, 2)
        with still(self.network):
            whole = tensors_in(self.network(images))
            crossing = made.prefix(images)
            # Two images, and the second one alone: a prefix that mixes images of a batch (batch statistics) cannot be
            # stored.
            alone = made.prefix(images[1:])
            parts = tensors_in(made.suffix(*crossing))
        # GPUs choose their kernels, and the order in which they add, anew each time.
        same = torch.equal if images.device.type == "cpu" else _close
        if len(whole) != len(parts) or not all(same(a, b) for a, b in zip(whole, parts, strict=True)):
            raise Untraceable("its parts do not give the whole's output")
        # Tolerance, not equality: one image and two may take different kernels, which round differently.
        if not all(_close(a[1:], b) for a, b in zip(crossing, alone, strict=True)):
            raise Untraceable("the crossing tensors of an image depend on the others of its batch")

    def _refusal(self, cut_point: str, reason: str) -> ModelError:
        name = type(self.network).__name__
        return ModelError(
            f"{name} cannot be cut at {cut_point} ({reason})", remedy="headstart trains it without a store"
        )


def cut(network: nn.Module, groups: Sequence[LayerGroup], cut_point: str, *, example: Tensor) -> CutNetwork:
    """A network divided before the group `cut_point`; see `NetworkGraph` to cut it at several.

    Args:
        network: Maps (B, C, H, W) images to logits; both parts share its modules and tensors.
        groups: Its layer groups, stem to head.
        cut_point: Name of the first group of the suffix.
        example: (B, C, H, W) images of the size that will come; their values do not count.

    Raises:
        ModelError: there is no such cut point, or the network cannot be cut there; says why.
    """
    return NetworkGraph(network, groups, example=example).cut(cut_point)


def taps(network: nn.Module, groups: Sequence[LayerGroup], *, example: Tensor) -> Taps:
    """Images -> the pooled output of every group before the head. See `NetworkGraph.taps`.

    Raises:
        ModelError: the network cannot be run on the example, or its steps cannot be recorded.
    """
    return NetworkGraph(network, groups, example=example).taps()


def _paths_of(network: nn.Module) -> Iterator[str]:
    for named in (network.named_modules(), network.named_parameters(), network.named_buffers()):
        yield from (path for path, _ in named)


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition(".")[0]:
        yield path


def _holds_tensors(module: nn.Module) -> bool:
    return any(True for tensors in (module.parameters(), module.buffers()) for _ in tensors)


def _is_dropout(module: nn.Module) -> bool:
    """Also the libraries' own kinds: drop path, drop block, patch dropout, stochastic depth."""
    # Custom kinds are recognised by name, because timm and torchvision each have classes of their own for it.
    return "drop" in type(module).__name__.lower() or type(module).__name__ == "StochasticDepth"


def _is_map(form: Form) -> bool:
    """Whether a tensor can be pooled to one vector of numbers per image."""
    return form.rows == 1 and bool(form.shape) and form.dtype.is_floating_point


def _close(a: Tensor, b: Tensor) -> bool:
    """Equal but for what another size of batch may change in the last bits."""
    if not a.is_floating_point():
        return torch.equal(a, b)
    # Relative to the largest entry: near zero a relative comparison entry by entry would fail on rounding.
    return torch.allclose(a, b, rtol=0.0, atol=1e-2 * float(a.abs().max()), equal_nan=True)
