"""Images from above."""

from __future__ import annotations

from headstart.knowledge.domain import RULE_OF_THUMB, DomainValues, DomainWeights

SATELLITE = DomainValues(
    name="satellite",
    gap="moderate",
    similarity="medium",
    transfer_exponent=1.5,
    usual_images="thousands",
    advice="partial fine-tuning, larger inputs, more than three channels where there are infrared or other bands",
    source=f"{RULE_OF_THUMB}; Stewart et al. 2022 for the weights",
    augmentation="standard",
    augmentation_reason="aerial scenes: small rotations and colour changes are changes of sensor and sun",
    flip="dihedral",
    flip_reason="aerial scenes: seen from above there is no up, so all mirror images and quarter turns are as likely",
    largest_input=320,
    input_reason="objects seen from above are a few pixels wide",
    weights=(
        DomainWeights(
            "resnet50:torchgeo-fmow-rgb",
            "ResNet-50 on fMoW, RGB tiles of many sensors, self-supervised (Ayush et al. 2021), torchgeo",
            "see its source",
            3,
            "--model resnet50:torchgeo-fmow-rgb",
        ),
        DomainWeights(
            "resnet18:torchgeo-s2-rgb",
            "ResNet-18 on Sentinel-2 bands 4, 3, 2, SSL4EO-S12 (Wang et al. 2023), torchgeo (Stewart et al. 2022)",
            "see its source",
            3,
            "--model resnet18:torchgeo-s2-rgb",
        ),
    ),
    group_hint="tiles of one scene or place: --group with a regular expression on their names, or a column",
    evidence="on RSSCN7 tiles of 256 px progressive was 1.3 points (-0.4..+3.0, one seed) better at 256 px than at "
    "224; at 320 px a linear probe was 1.7 points (-0.6..+3.9) better, but progressive no better in eight times the "
    "time: tiles are not enlarged (docs/guide/domains.md)",
    words=("satellite", "aerial", "sentinel", "landsat", "eurosat", "drone", "uav", "orthophoto"),
)
