from __future__ import annotations

import torch
from torch.utils.data import DataLoader

from diagnosis.doctored import found
from diagnosis.gallery.parts import Pictures, frozen, pretrained, standard
from headstart.diagnosis.checks.batch_norm import frozen_norms

ORDER = ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "drop", "fc")


def test_norms_after_frozen_layers_only():
    model = pretrained()
    for part in (model.conv1, model.bn1, model.bn2):
        part.requires_grad_(False)
    assert frozen_norms(model, ORDER) == ["bn1"]


def test_evidence_counts_layers():
    model = frozen(pretrained())
    finding = found(model=model, optimizer=torch.optim.AdamW(model.fc.parameters(), 1e-3))["frozen_batch_norm_drifts"]
    assert "3 of 3" in finding.evidence


def test_one_image_in_the_last_batch():
    data = Pictures(standard(), count=33)
    assert "leave one" in found(loader=DataLoader(data, 16, shuffle=True))["last_batch_of_one"].evidence
    assert "last_batch_of_one" not in found(loader=DataLoader(data, 16, shuffle=True, drop_last=True))
