from __future__ import annotations

import json

from headstart.diagnosis.finding import DoctorFinding, DoctorResult, OmittedCheck, errors_first

INFO = DoctorFinding("b", "info", "Good to know.", "1 of 2.", "Nothing.")
ERROR = DoctorFinding("a", "error", "It fails.", "2 of 2.", "Mend it.")


def test_text_is_that_of_a_linter():
    text = str(DoctorResult("set-up", (ERROR, INFO), ("x", "y"), (OmittedCheck("z", "no loader was given"),)))
    assert text.splitlines() == [
        "set-up: 1 error, 0 warnings in 2 checks",
        "error[a] It fails.",
        "    2 of 2.",
        "    -> Mend it.",
        "info[b] Good to know.",
        "    1 of 2.",
        "    -> Nothing.",
        "not checked: z (no loader was given)",
    ]


def test_lines_are_wrapped_and_nothing_is_lost():
    long = DoctorFinding("a", "error", "word " * 40, "number " * 40, "step " * 40)
    lines = str(long).splitlines()
    assert max(map(len, lines)) <= 110
    assert " ".join(lines).split().count("number") == 40


def test_without_complaint_that_is_the_first_line():
    assert str(DoctorResult("set-up", (INFO,), ("x",))).startswith("set-up: nothing wrong in 1 check")


def test_errors_come_first_and_levels_keep_their_order():
    second = DoctorFinding("c", "error", "It fails too.", "", "")
    assert errors_first([INFO, ERROR, second]) == (ERROR, second, INFO)


def test_complaints_leave_out_what_is_good_to_know():
    assert DoctorResult("set-up", (ERROR, INFO), ()).complaints == (ERROR,)


def test_json_holds_every_field():
    raw = json.loads(json.dumps(DoctorResult("set-up", (ERROR,), ("x",), (OmittedCheck("z", "why"),)).to_dict()))
    assert raw["findings"] == [
        {"id": "a", "level": "error", "what": "It fails.", "evidence": "2 of 2.", "remedy": "Mend it."}
    ]
    assert raw["omitted"] == [{"check": "z", "reason": "why"}]
