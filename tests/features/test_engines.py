"""Running networks over images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from headstart.data.loading import read_pixels
from headstart.data.preprocess import evaluation_view
from headstart.features.engines import BATCH_IMAGES, features_of, logits_of, to_tensor


def test_tensors_share_memory_and_are_channels_last():
    inputs = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    tensor = to_tensor(inputs, torch.device("cpu"))
    assert tensor.shape == (2, 3, 8, 8)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert tensor.data_ptr() == inputs.ctypes.data


def test_features_through_the_head_are_the_logits(prepare: Callable):
    task = prepare()
    classifier = task.classifier()
    torch.nn.init.normal_(classifier.head.weight)
    records = task.images.roles.fit
    features = features_of(classifier, records, task.images.spec)
    logits = logits_of(classifier, records, task.images.spec)
    assert features.shape == (len(records), 1280)
    with torch.no_grad():
        assert np.allclose(classifier.head(torch.from_numpy(features)).numpy(), logits, atol=1e-5)


def test_batches_change_no_answer_and_progress_counts_every_image(prepare: Callable, make_folder: Callable):
    folder = make_folder("many", classes=2, per_class=BATCH_IMAGES)
    task = prepare(folder=folder)
    classifier, counted = task.classifier(), []
    records = task.images.roles.train
    assert len(records) > BATCH_IMAGES
    together = features_of(classifier, records, task.images.spec, on_images=counted.append)
    assert sum(counted) == len(records)
    alone = evaluation_view(read_pixels(records[-1]), task.images.spec)
    with torch.inference_mode():
        one = classifier.features(torch.from_numpy(alone[None]).permute(0, 3, 1, 2)).numpy()
    assert np.allclose(together[-1], one[0], atol=1e-4)


def test_training_mode_left_on_does_not_reach_the_answers(prepare: Callable):
    task = prepare(strategy="feature_extraction", head="mlp")
    classifier = task.classifier()
    torch.nn.init.normal_(classifier.head[-1].weight)
    first = logits_of(classifier, task.images.roles.fit, task.images.spec)
    classifier.network.train()
    assert np.array_equal(first, logits_of(classifier, task.images.roles.fit, task.images.spec))
