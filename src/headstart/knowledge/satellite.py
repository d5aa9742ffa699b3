"""Images from above."""

from __future__ import annotations

from headstart.knowledge.domain import DomainValues

SATELLITE = DomainValues(
    name="satellite",
    augmentation="standard",
    augmentation_reason="aerial scenes: small rotations and colour changes are changes of sensor and sun",
    flip="all",
    flip_reason="aerial scenes: seen from above there is no up, so both mirror images are as likely",
)
