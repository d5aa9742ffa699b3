"""One pass reads each image once, runs it through each network once, and keeps its strongest positions if asked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from headstart.advice.probe.reader import DepthReader
from headstart.data.loading import read_view
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.engine.store.store import image_digest
from headstart.inspection.depth_pass import DepthPass
from headstart.networks.backbone import build_classifier
from headstart.networks.cards.finding import find_model

SIDE = 32


def test_each_image_is_read_once_whatever_the_number_of_networks(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    choice = find_model("tf_efficientnet_lite0")
    spec = choice.card.input.at_size(SIDE)
    made = [
        build_classifier(choice, kind="linear", num_classes=2, seed=seed, input_size=SIDE, weights="random")
        for seed in (0, 1)
    ]
    readers = [DepthReader(one.network, one.groups, size=SIDE) for one in made]
    (image_folder / "blue" / "03.png").write_bytes(b"no image")
    records = open_source(str(image_folder)).records
    reads, ticks, read = Counter[str](), [], ImageRecord.read
    monkeypatch.setattr(ImageRecord, "read", lambda record: reads.update([record.id]) or read(record))
    seen = DepthPass(spec, readers, drawn=True)
    seen.look_at(records, lambda what, total: ticks.append(total) or ticks.append)
    assert set(reads.values()) == {1}
    assert ticks[0] == sum(ticks[1:]) == len(records) == 16
    readable = [record for record in records if record.id != "blue/03.png"]
    assert list(seen.facts.readable) == readable
    assert seen.facts.unreadable.keys() == {"blue/03.png"}
    assert seen.facts.digests[readable[0].id] == image_digest(readable[0].read()).hex()
    inputs = np.stack([read_view(record, spec) for record in readable])
    for number, reader in enumerate(readers):
        for name, reading in reader.read(inputs).items():
            np.testing.assert_allclose(seen.features(number)[name], reading.pooled_BF, rtol=1e-3, atol=1e-4)
    assert not np.allclose(seen.features(0)["stem"], seen.features(1)["stem"])
    assert seen.strongest.keys() == readers[0].grids.keys()
    assert np.array_equal(seen.first_inputs, inputs[: len(seen.first_inputs)])
