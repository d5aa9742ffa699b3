from __future__ import annotations

import inspect
import re
from pathlib import Path

from headstart.diagnosis.checks import loss
from headstart.diagnosis.examined import examine
from headstart.diagnosis.registry import CHECKS, lacking
from headstart.diagnosis.setup import Setup


def test_every_check_of_the_package_is_in_the_table():
    folder = Path(inspect.getfile(loss)).parent
    written = {name for path in folder.glob("*.py") for name in re.findall(r"^def (find_\w+)", path.read_text(), re.M)}
    assert {check.find.__name__ for check in CHECKS} == written
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_what_is_missing_is_said():
    examined = examine(Setup(model=None))
    assert all(lacking(check, examined) for check in CHECKS)
    by_name = {check.name: lacking(check, examined) for check in CHECKS}
    assert by_name["frozen BatchNorm"] == "no model was given"
