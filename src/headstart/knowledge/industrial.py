"""Surfaces, textures and parts in front of a fixed camera."""

from __future__ import annotations

from headstart.knowledge.domain import DomainValues

INDUSTRIAL = DomainValues(
    name="industrial",
    gap="moderate",
    similarity="medium",
    transfer_exponent=1.5,
    usual_images="hundreds to low thousands",
    advice="the linear probe first: textures lie in early and middle layers, so a multi_depth head is worth a try; "
    "grey becomes three equal channels; defects are often a few pixels wide, so larger inputs or tiles help",
    source="an estimate: no source measures it for all such images; headstart probe does for yours",
    augmentation="standard",
    augmentation_reason="surfaces: small rotations and changes of brightness are changes of position and lamp",
    flip="all",
    flip_reason="surfaces: a defect means the same in every mirror image; where orientation matters (writing, a part "
    "upside down), set augmentation.flip: none in the plan",
    group_hint="images of one part or coil: --group with a regular expression on their names, or a column",
    words=(
        *("defect", "scratch", "crack", "crazing", "inclusion", "pitted", "rolled", "weld", "corrosion", "rust"),
        *("dent", "surface", "wafer", "solder", "pcb", "casting", "steel", "metal", "alumin", "nok", "anomal"),
        *("poros", "fabric", "textile", "scale", "spatter", "burr", "solarcell"),
    ),
)
