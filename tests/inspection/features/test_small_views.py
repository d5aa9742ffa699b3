from __future__ import annotations

import numpy as np

from headstart.data.sources.reading import ImageRecord
from headstart.inspection.features.small_views import VIEW_SIDE, read_small_views, small_view
from marked_images import encoded, noise_images


def test_views_hold_means_of_the_whole_image():
    pixels = np.zeros((96, 192, 3), np.uint8)
    pixels[:2, :4] = 100
    view = small_view(pixels)
    assert view.shape == (VIEW_SIDE, VIEW_SIDE, 3)
    assert (view[0, 0] == 100).all()
    assert view.sum() == 300


def test_views_and_traces_come_in_the_order_of_the_images():
    pictures = noise_images(40)
    records = [ImageRecord(str(n), "a", "all", content=encoded(one)) for n, one in enumerate(pictures)]
    records.insert(5, ImageRecord("gone", "a", "all", content=b"no image"))
    seen = []
    found = read_small_views(records, on_image=lambda: seen.append(1))
    assert len(seen) == len(found.traces) == 41
    assert (found.views_NSSC[5] == 0).all()
    assert [trace.encoded_bytes for trace in found.traces] == [len(record.content) for record in records]
    assert (found.views_NSSC[6] == small_view(pictures[5])).all()
