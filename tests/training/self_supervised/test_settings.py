"""Settings of pretraining are plain values that can be written and compared."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict

from headstart.training.self_supervised.settings import PretrainedEpoch


def test_settings_need_no_torch() -> None:
    code = "import sys; import headstart.training.self_supervised.settings; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_epoch_is_plain() -> None:
    assert asdict(PretrainedEpoch(1, -0.5, 0.9, 2.0)) == {"epoch": 1, "loss": -0.5, "spread": 0.9, "seconds": 2.0}
