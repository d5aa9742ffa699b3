"""Progress for those who do not watch."""

from headstart.runs.progress import no_progress


def test_nobody_watches_and_nothing_happens():
    assert no_progress("features", 10)(3) is None
