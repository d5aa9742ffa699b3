"""Card -> classifier; and what the embedded weights know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.data.loading import read_pixels
from headstart.data.preprocess import evaluation_view
from headstart.data.sources import open_source
from headstart.input_spec import InputSpec
from headstart.models.backbone import build_classifier, pretrained
from headstart.models.catalog import find_model

IMAGENET_CLASS = {"ants": 310, "bees": 309}


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_head_is_new_and_the_rest_is_pretrained(kind: str):
    choice = find_model("tf_efficientnet_lite0")
    reference = pretrained(choice).state_dict()
    classifier = build_classifier(choice, kind=kind, num_classes=3, seed=0)
    state = classifier.network.state_dict()
    for name, tensor in reference.items():
        if not name.startswith("classifier"):
            assert torch.equal(state[name], tensor), name
    with torch.no_grad():
        assert classifier.network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_the_seed_decides_the_head_and_the_global_generator_is_left_alone():
    choice = find_model("tf_efficientnet_lite0")
    before = torch.get_rng_state()
    heads = [build_classifier(choice, kind="mlp", num_classes=3, seed=s).head[1].weight for s in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def accuracy_of_the_untouched_network(data: Path, name: str, spec: InputSpec, count: int) -> float:
    network = pretrained(find_model(name))
    records = [r for r in open_source(str(data / "hymenoptera.tar")).of("val") if r.label in IMAGENET_CLASS]
    records = records[:count] + records[-count:]
    hits = 0
    for record in records:
        view = evaluation_view(read_pixels(record), spec)
        with torch.inference_mode():
            logits = network(torch.from_numpy(view[None]).permute(0, 3, 1, 2))
        hits += int(logits.argmax()) == IMAGENET_CLASS[record.label]
    return hits / len(records)


@pytest.mark.realdata
def test_the_embedded_weights_know_ants_and_bees_and_less_so_with_the_wrong_statistics(real_data: Path):
    """Two classes of 1,000: chance is 0.001."""
    right = find_model("tf_efficientnet_lite0").card.input
    wrong = InputSpec(right.size, right.resize, right.interpolation, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with_right = accuracy_of_the_untouched_network(real_data, "tf_efficientnet_lite0", right, 15)
    with_wrong = accuracy_of_the_untouched_network(real_data, "tf_efficientnet_lite0", wrong, 15)
    assert with_right > 0.6
    assert with_wrong < with_right


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["tf_efficientnet_lite1", "tf_efficientnet_lite2"])
def test_the_larger_weights_know_them_too(real_data: Path, name: str):
    assert accuracy_of_the_untouched_network(real_data, name, find_model(name).card.input, 8) > 0.6


def test_channels_last_changes_no_answer_beyond_rounding():
    network = pretrained(find_model("tf_efficientnet_lite0"))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        nhwc = network(x.contiguous(memory_format=torch.channels_last))
        nchw = network.to(memory_format=torch.contiguous_format)(x)
    assert np.allclose(nhwc, nchw, atol=1e-3)
