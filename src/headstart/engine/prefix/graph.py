"""What a network does in evaluation and in training as one graph of steps, and which of them lie before a cut point.

Each step has a level: the last layer group whose modules or tensors it, or anything that it needs, has used. What
lies below a cut point is the prefix; whatever the suffix needs of it crosses, one tensor or many. Steps that do not
depend on the images (a table of positions) are made on the side that uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headstart.engine.prefix.program import IMAGES, Step, Template, Value, mapped, marks
from headstart.engine.prefix.tracing import MODES, Form, Mode, Trace, Untraceable


@dataclass(frozen=True)
class StepGraph:
    """Steps of both modes under one numbering: what is the same step in both has one number."""

    steps: Mapping[int, Step]
    orders: Mapping[Mode, tuple[int, ...]]
    outputs: Mapping[Mode, Template]
    forms: Mapping[Value, Form]
    on_images: frozenset[int]
    """Steps that depend on the images, and IMAGES."""

    @property
    def order(self) -> tuple[int, ...]:
        """All steps, each after those that it needs."""
        # Evaluation first, then what only training has: a step never comes before one that it needs in its own mode.
        return tuple(dict.fromkeys(number for mode in MODES for number in self.orders[mode]))

    def levels(self, own: Callable[[Step], Iterable[int]], draws: Callable[[Step], bool]) -> dict[int, int]:
        """Number of each step -> index of the last layer group that it needs.

        A step that draws random numbers has the level of what uses it, so that it lies on the trainable side.

        Args:
            own: Indices of the groups whose modules and tensors a step uses itself.
            draws: Whether a step draws random numbers in training and holds no tensors.
        """
        owned = {number: tuple(own(self.steps[number])) for number in self.order}
        levels = self._levels(owned)
        used_at: dict[int, int] = {}
        users: dict[int, list[int]] = {}
        # Backwards, so that the users of a step are known before the step itself.
        for number in reversed(self.order):
            found = [
                # A user without tensors at the same level (an activation behind dropout) says nothing yet: its own
                # users decide.
                levels[user] if owned[user] or levels[user] > levels[number] else used_at[user]
                for user in users.get(number, [])
            ]
            # The earliest use decides: dropout drawn once and used in two groups must be drawn before the first of
            # them.
            used_at[number] = min(found, default=levels[number])
            for value in self.steps[number].values():
                users.setdefault(value.step, []).append(number)
        return self._levels(
            {n: (*groups, used_at[n]) if draws(self.steps[n]) else groups for n, groups in owned.items()}
        )

    def _levels(self, owned: Mapping[int, Sequence[int]]) -> dict[int, int]:
        levels = {IMAGES: 0}
        for number in self.order:
            # Levels only grow along the order, so the steps of a level and below are closed under "needs": a cut is
            # always possible as far as order goes.
            levels[number] = max([0, *owned[number], *(levels[value.step] for value in self.steps[number].values())])
        return levels

    def crossing(self, levels: Mapping[int, int], cut_index: int, modes: Sequence[Mode]) -> tuple[Value, ...]:
        """Crossing tensors: made below the cut, needed at or above it or in the output; in the order of their making.

        Raises:
            Untraceable: training needs one that evaluation does not make.
        """
        found: set[Value] = set()
        # Both modes must read the same crossing tensors, because rows are stored once, from evaluation.
        for mode in modes:
            output = marks(self.outputs[mode])
            above = self.needed(mode, output, levels, cut_index)
            waiting = [mark for mark in output if isinstance(mark, Value)]
            waiting += [value for number in above for value in self.steps[number].values()]
            # Tables that do not depend on the images are made anew in the suffix: storing them once a row would waste
            # disk.
            found |= {value for value in waiting if value.step in self.on_images and levels[value.step] < cut_index}
        position = {number: index for index, number in enumerate((IMAGES, *self.orders["evaluation"]))}
        if any(value.step not in position for value in found):
            raise Untraceable("the crossing tensors differ between training and evaluation")
        # In the order of making, not of a set: the order is the layout of stored rows and must be the same in every
        # process.
        return tuple(sorted(found, key=lambda value: (position[value.step], value.index)))

    def needed(
        self, mode: Mode, requested: Sequence[Any], levels: Mapping[int, int], cut_index: int = 0
    ) -> tuple[int, ...]:
        """Steps that the requested marks need, in order, without those on images that lie below the cut."""
        needed: set[int] = set()
        waiting = [mark for mark in requested if isinstance(mark, Value)]
        while waiting:
            number = waiting.pop().step
            # Steps off the images lie on no side: the prefix and the suffix each make those that they use.
            below = number in self.on_images and levels[number] < cut_index
            if number != IMAGES and number not in needed and not below:
                needed.add(number)
                waiting += self.steps[number].values()
        return tuple(number for number in self.orders[mode] if number in needed)


def graph_of(traces: Mapping[Mode, Trace]) -> StepGraph:
    """One graph from the passes of both modes."""
    numbers: dict[tuple[object, ...], int] = {}
    steps: dict[int, Step] = {}
    forms: dict[Value, Form] = {}
    orders: dict[Mode, tuple[int, ...]] = {}
    outputs: dict[Mode, Template] = {}
    for mode, trace in traces.items():
        number_of = {IMAGES: IMAGES}

        def renumbered(template: Template, number_of: Mapping[int, int] = number_of) -> Template:
            return mapped(template, lambda m: Value(number_of[m.step], m.index) if isinstance(m, Value) else m)

        for index, old in enumerate(trace.steps):
            step = replace(
                old, args=renumbered(old.args), kwargs=renumbered(old.kwargs), touched=renumbered(old.touched)
            )
            # Two steps are the same if they call the same target with the same arguments; equal numbers let both modes
            # share levels.
            key: tuple[object, ...] = (step.target, repr((step.args, step.kwargs, step.touched)))
            while (number := numbers.setdefault(key, len(numbers))) in number_of.values():
                key = (*key, "again")  # the same call a second time: dropout draws anew
            number_of[index] = number
            steps[number] = step
        orders[mode] = tuple(number_of[index] for index in range(len(trace.steps)))
        outputs[mode] = renumbered(trace.output)
        forms.update((renumbered(value), form) for value, form in trace.forms.items())
    return StepGraph(steps, orders, outputs, forms, _depending(steps))


def _depending(steps: Mapping[int, Step]) -> frozenset[int]:
    """IMAGES and all steps that need it, directly or through others; each step comes after those that it needs."""
    found = {IMAGES}
    for number, step in steps.items():
        if any(value.step in found for value in step.values()):
            found.add(number)
    return frozenset(found)
