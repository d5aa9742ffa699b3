"""What a report on weights says of a file that fits."""

from __future__ import annotations

from headstart.networks.weights.report import WeightReport


def test_a_file_that_fits_exactly_leaves_nothing_out() -> None:
    report = WeightReport.whole("a.safetensors", 12)
    assert (report.source, report.loaded, report.head) == ("a.safetensors", 12, "loaded")
    assert not report.missing
    assert not report.unexpected
