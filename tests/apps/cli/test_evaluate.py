"""`headstart evaluate`."""

from __future__ import annotations

from pathlib import Path

from command_line import Call, refused


def test_without_a_bundle_it_is_one_line(run: Call, image_folder: Path, tmp_path: Path):
    refused(run("evaluate", tmp_path, image_folder), "is no bundle")
