"""Pages, receipts, handwriting, digits."""

from __future__ import annotations

from headstart.knowledge.domain import DomainValues

DOCUMENT = DomainValues(
    name="document",
    augmentation="standard",
    augmentation_reason="documents: small rotations and crops are what scanners do",
    flip="none",
    flip_reason="documents: mirrored writing is no writing",
)
