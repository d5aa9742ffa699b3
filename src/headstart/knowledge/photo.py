"""Everyday photographs."""

from __future__ import annotations

from headstart.knowledge.domain import RULE_OF_THUMB, DomainValues

PHOTO = DomainValues(
    name="photo",
    gap="unknown",
    similarity=None,
    transfer_exponent=1.0,
    usual_images="any",
    advice="photos of everyday things are what ImageNet is; industrial or microscopic ones are not",
    source=RULE_OF_THUMB,
    augmentation="standard",
    augmentation_reason="photos: crops, small rotations and colour changes do not alter what is shown",
    flip="horizontal",
    flip_reason="photos: a mirrored scene is as likely as the scene, an upside-down one is not",
    group_hint="frames of one video or burst: --group with a regular expression on their names",
)
