"""Where the checkout lies that is tested, however deep a test file is."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
