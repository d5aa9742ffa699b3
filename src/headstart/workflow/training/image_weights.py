"""How much each image counts in training: its own weight times that of its class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from headstart.data.class_balance import BalanceMethod
from headstart.data.sources.reading import ImageRecord
from headstart.errors import PlanError, nearest


def image_weights(
    method: BalanceMethod, class_weight: Mapping[str, float] | None, records: Sequence[ImageRecord]
) -> dict[str, float]:
    """Image id -> how much it counts in what is minimised: its own weight times that of its class; empty: all alike.

    Balanced weights are scikit-learn's: images / (classes * images of the class), over all training images. Balanced
    sampling has them too, for fits that see all images at once.

    Args:
        method: How classes are balanced.
        class_weight: Class -> weight, in place of balanced ones.
        records: All training images.

    Raises:
        PlanError: a class that is not there.
    """
    own = [1.0 if record.weight is None else record.weight for record in records]
    counts = Counter(record.label for record in records)
    if class_weight is None and method in ("class_weight", "balanced_sampling"):
        of_class = {name: len(records) / (len(counts) * count) for name, count in counts.items()}
    else:
        of_class = dict(class_weight or {})
        for name in of_class.keys() - counts.keys():
            hint = nearest(name, counts)
            text = f"class_weight: no class {name!r}, only {', '.join(sorted(counts))}" + (f"; {hint}" * bool(hint))
            raise PlanError([text])
    if not of_class and len(set(own)) <= 1:
        return {}
    return {record.id: weight * of_class.get(record.label, 1.0) for record, weight in zip(records, own, strict=True)}
