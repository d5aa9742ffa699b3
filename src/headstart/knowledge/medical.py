"""Radiographs, scans and other clinical images."""

from __future__ import annotations

from headstart.knowledge.domain import RULE_OF_THUMB, DomainValues, DomainWeights

MEDICAL = DomainValues(
    name="medical",
    gap="moderate",
    similarity="medium",
    transfer_exponent=1.5,
    usual_images="hundreds to low thousands",
    advice="textbooks advise feature extraction or careful gradual unfreezing; measured here, tuning from the linear "
    "probe does better than gradual unfreezing; grey becomes three equal channels, with the statistics of the "
    "weights; strong augmentation, without mirroring where sides mean something; dropout of 0.5 or more in a "
    "trained head; consider CLAHE",
    source=f"{RULE_OF_THUMB}; Raghu et al. 2019 found that reuse sits in the lowest layers and that transfer gains "
    "little on large sets",
    augmentation="standard",
    augmentation_reason="medical sets are small, so views are augmented; grey images stay grey under colour jitter",
    flip="none",
    flip_reason="medical: left and right mean something in a body",
    few_images_augmentation="strong",
    few_images_reason="strong augmentation, so that layers cannot memorise them",
    contrast="file",
    contrast_reason="textbooks suggest CLAHE for radiographs; on 1,123 chest X-rays a linear probe with it was as "
    "accurate as without (docs/benchmarks.md)",
    dropout=0.5,
    weights=(
        DomainWeights(
            "densenet121:xrv-all",
            "DenseNet-121 on 7 sets of chest X-rays, torchxrayvision (Cohen et al. 2022)",
            "apache-2.0",
            1,
            "--model densenet121:xrv-all",
        ),
        DomainWeights(
            "densenet121:xrv-nih",
            "DenseNet-121 on the X-rays of ChestX-ray14, as CheXNet (Rajpurkar et al. 2017), torchxrayvision",
            "apache-2.0",
            1,
            "--model densenet121:xrv-nih",
        ),
        DomainWeights(
            "resnet50:file:RadImageNet.pt",
            "RadImageNet, 1.35 million CT, MR and ultrasound images (Mei et al. 2022)",
            "see its source",
            3,
            "--model resnet50:file:PATH, once the file was fetched from github.com/BMEII-AI/RadImageNet",
        ),
    ),
    group_hint="images of one patient: --group column:patient, or a regular expression on the names",
    words=(
        *("xray", "radiogra", "radiolog", "mri", "ultraso", "mammogra", "chest", "lung", "pneumonia", "covid"),
        *("tubercul", "tumor", "tumour", "glioma", "meningioma", "benign", "malignan", "melanoma", "carcinoma"),
        *("cancer", "lesion", "fracture", "retin", "patient", "histolog", "patholog", "biops", "endoscop", "edema"),
        *("effusion", "cardio", "nodul", "finding"),
    ),
    evidence="on chest_xray, by patient, its values and those of photos showed no difference, and CLAHE none for a "
    "linear probe (docs/benchmarks.md)",
)
