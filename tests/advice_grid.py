"""Situations for the tests of the advisor: the expected answers, and the axes of the grid."""

from __future__ import annotations

import math
from typing import Any

from headstart.engine.costs.training_cost import Hardware

EXPECTED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"images": 50, "similarity": "high", "classes": 10}, "feature_extraction"),
    ({"images": 500, "domain": "medical", "channels": 1}, "feature_extraction gradual progressive"),
    ({"images": 8_000, "domain": "medical"}, "gradual discriminative progressive"),
    ({"images": 2_000, "similarity": "high"}, "feature_extraction"),
    ({"images": 4_900, "similarity": "high"}, "feature_extraction"),
    ({"images": 1_500, "similarity": "medium"}, "feature_extraction gradual progressive"),
    ({"images": 300, "similarity": "low"}, "gradual feature_extraction progressive"),
    ({"images": 1_500}, "gradual progressive"),
    ({"images": 20_000, "similarity": "high"}, "discriminative progressive"),
    ({"images": 45_000, "similarity": "high"}, "discriminative progressive"),
    ({"images": 20_000, "similarity": "high", "budget_seconds": 60.0}, "feature_extraction"),
    ({"images": 20_000, "similarity": "low"}, "partial full gradual"),
    ({"images": 200_000, "similarity": "high"}, "discriminative full"),
    ({"images": 200_000, "similarity": "low"}, "full scratch"),
    ({"images": 3_000, "domain": "satellite"}, "partial progressive"),
    ({"images": 20_000, "domain": "satellite", "channels": 13}, "partial progressive"),
    ({"images": 1_000, "domain": "document"}, "full gradual"),
    ({"images": 30_000, "domain": "document"}, "full"),
    ({"images": 500, "domain": "document", "unlabelled": 200_000}, "full gradual"),
    ({"images": 150_000, "similarity": "low", "budget_seconds": math.inf}, "full"),
)
"""The 20 rows of the specification: values of a situation on two CPU cores, and the strategies that are right."""

IMAGES = (2, 40, 300, 999, 1_000, 4_999, 5_000, 20_000, 49_999, 50_000, 100_000, 1_000_000)
SIMILARITIES = (None, "low", "medium", "high", 0.0, 0.4, 1.0)
DOMAINS = ("photo", "medical", "satellite", "document")
CLASSES = (None, 2, 40)
BUDGETS = (None, 30.0, 3_600.0, math.inf)
TWO_CORES = Hardware(2, "none")
