"""L-BFGS on several convex problems at once: they are evaluated together, so that one pass over the data serves all.

Liu & Nocedal 1989. The problems know nothing of each other; one that has converged is left out of later evaluations.
A step that makes the loss no worse than rounding does is taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.float64]
Points: TypeAlias = npt.NDArray[np.float64]
Evaluate: TypeAlias = Callable[[Points, npt.NDArray[np.int64]], tuple[Vector, Points]]
"""(A, V) points, (A,) numbers of their problems -> (A,) values, (A, V) gradients."""

PAIRS = 10
"""Steps whose change of slope is remembered; each takes two vectors."""
_SUFFICIENT = 1e-4
"""Share of the decrease that the slope promises which a step must bring (Armijo 1966)."""
SINGLE_ROUNDING = 1e-7
"""Relative error of a mean loss in single precision."""
DOUBLE_ROUNDING = 1e-14
"""The same in double precision."""
_MOST_SHORTENED = 12


@dataclass(frozen=True, slots=True)
class Minima:
    """The best points found for the problems."""

    points_PV: Points  # noqa: N815 - shapes
    evaluations: int
    """How many times the problems were evaluated together: passes over the data."""


def minimise_together(
    evaluate: Evaluate,
    start_PV: Points,  # noqa: N803
    *,
    tolerance: float,
    max_evaluations: int,
    rounding: float = SINGLE_ROUNDING,
) -> Minima:
    """The minima of P convex functions of V variables each.

    Args:
        evaluate: Values and gradients of some of them.
        start_PV: Where each begins; near its minimum saves evaluations.
        tolerance: Largest component of a gradient that counts as none.
        max_evaluations: Then the best points so far are returned.
        rounding: Relative error of the values.
    """
    descents = [_Descent(start.copy(), tolerance, rounding) for start in start_PV]
    evaluations = 0
    while evaluations < max_evaluations:
        # Converged problems drop out of the batch, so a pass costs only what the unfinished ones need.
        which = np.array([number for number, one in enumerate(descents) if not one.has_converged], np.int64)
        if not len(which):
            break
        values, gradients = evaluate(np.stack([descents[number].trial_V for number in which]), which)
        evaluations += 1
        # `see` takes one value at a time: the line search of a problem does not wait for that of another.
        for number, value, gradient in zip(which, values, gradients, strict=True):
            descents[number].see(float(value), gradient)
    return Minima(np.stack([one.best_V for one in descents]), evaluations)


@dataclass
class _Descent:
    """State of the minimisation of one problem."""

    trial_V: Vector  # noqa: N815
    """The point to evaluate next."""
    tolerance: float
    rounding: float
    has_converged: bool = False
    _point: Vector | None = None
    _value: float = 0.0
    _gradient: Vector = field(default_factory=lambda: np.empty(0))
    _direction: Vector = field(default_factory=lambda: np.empty(0))
    _slope: float = 0.0
    _step: float = 1.0
    _shortened: int = 0
    _pairs: deque[tuple[Vector, Vector, float]] = field(default_factory=lambda: deque(maxlen=PAIRS))
    """(step, change of the gradient, 1 / their product), the latest last."""

    @property
    def best_V(self) -> Vector:  # noqa: N802
        """The last point that was accepted."""
        return self.trial_V if self._point is None else self._point

    def see(self, value: float, gradient: Vector) -> None:
        """Take the step, or ask for a shorter one."""
        if self._point is None:
            self._accept(value, gradient)
            return
        # Armijo's condition plus a rounding allowance: in single precision the loss of a good step near the minimum may
        # look a little larger, and without this allowance the search would shorten good steps to nothing.
        allowed = self._value + _SUFFICIENT * self._step * self._slope + self.rounding * abs(self._value)
        if value <= allowed:
            step, change = self.trial_V - self._point, gradient - self._gradient
            # Only pairs with positive curvature keep the inverse Hessian positive definite (Nocedal & Wright 2006,
            # section 6.1); rounding can make the product of a convex loss negative.
            if (product := float(step @ change)) > 0:
                self._pairs.append((step, change, 1 / product))
            self._accept(value, gradient)
            return
        self._shortened += 1
        if self._shortened > _MOST_SHORTENED:  # rounding hides what is left
            self.has_converged = True
            return
        # The lowest point of the parabola through both values and the slope; an infinite value shortens most.
        bend = value - self._value - self._step * self._slope
        lowest = -self._slope * self._step**2 / (2 * bend) if np.isfinite(bend) else 0.0
        # Clipped as in Dennis & Schnabel (1983, section 6.3): a parabola through rounded values may put its lowest
        # point at once at 0 or beyond the step.
        self._step = float(np.clip(lowest, 0.1 * self._step, 0.5 * self._step))
        self.trial_V = self._point + self._step * self._direction

    def _accept(self, value: float, gradient: Vector) -> None:
        self._point, self._value, self._gradient = self.trial_V, value, gradient
        # The full step first: L-BFGS directions are scaled, and near the minimum 1 is accepted almost always.
        self._shortened, self._step = 0, 1.0
        if not np.abs(gradient).max(initial=0.0) > self.tolerance:  # also where it is not a number
            self.has_converged = True
            return
        self._direction = -self._newton_like(gradient)
        self._slope = float(self._direction @ gradient)
        # Stored pairs that give no direction of descent are stale or rounded away: start anew from steepest descent.
        if self._slope >= 0:
            self._pairs.clear()
            self._direction, self._slope = -gradient, -float(gradient @ gradient)
        self.trial_V = self._point + self._direction

    def _newton_like(self, gradient: Vector) -> Vector:
        """Product of the approximate inverse Hessian and the gradient, by two passes over the stored pairs."""
        # The two-loop recursion (Nocedal 1980): the inverse Hessian is never formed, only its product with the
        # gradient.
        found, shares = gradient.copy(), []
        for step, change, inverse in reversed(self._pairs):
            share = inverse * float(step @ found)
            found -= share * change
            shares.append(share)
        # The initial inverse Hessian is (s'y / y'y) I, the curvature of the latest step (Liu & Nocedal 1989, scaling
        # M3).
        if self._pairs:
            step, change, inverse = self._pairs[-1]
            found /= inverse * float(change @ change)
        for (step, change, inverse), share in zip(self._pairs, reversed(shares), strict=True):
            found += (share - inverse * float(change @ found)) * step
        return found
