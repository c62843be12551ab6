import json

import pytest

from scripts.bench_suite.barge_in import ends_where_heard
from scripts.bench_suite.report import Findings, Row, as_json, percentile, spread, table


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([1.0], 0.9, 1.0), ([3.0, 1.0, 2.0], 0.5, 2.0), ([float(n) for n in range(1, 101)], 0.99, 99.0)],
)
def test_percentiles_are_values_that_were_measured(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_a_missed_aim_is_shouted() -> None:
    rows = [*spread("latency", [0.4, 0.5, 0.9], 450, 1_000), Row("correct", 60, "%", 20, 50, "higher")]
    assert [row.verdict for row in rows] == ["MISSED", "met", "met"]
    assert "| latency, median | 500 ms | 3 | ≤ 450 | MISSED |" in table(rows)


def test_the_json_names_machine_and_settings() -> None:
    found = as_json(Findings([Row("x", 1, "ms", 2)], {"raw": [1]}), {"silence_ms": 320})
    assert json.loads(json.dumps(found))["settings"] == {"silence_ms": 320}
    assert found["machine"]["cores"] >= 1
    assert found["rows"][0]["verdict"] == ""


PIECES = [(0.0, "The cat"), (0.2, ""), (0.5, " sat on"), (1.5, " the mat"), (2.5, " and slept.")]


@pytest.mark.parametrize(
    ("history", "matches"),
    [
        ("The cat sat on", True),
        ("The cat sat on the mat", True),  # " the mat" starts within the tolerance of 1.4 s
        ("The cat", False),  # " sat on" was surely heard
        ("The cat sat on the mat and slept.", False),  # the end surely was not
        ("A dog sat on", False),
    ],
)
def test_a_history_must_end_where_the_sound_ended(history: str, matches: bool) -> None:
    assert ends_where_heard(history, PIECES, heard_s=1.4) is matches
