from typing import Any

import pytest

from scripts.bench_suite.material import load_material
from scripts.bench_suite.references import Reference
from scripts.bench_suite.report import Row
from scripts.bench_suite.voices import _drift_rows, _rows, measure


def _result(before: float, after: float, worse: float) -> dict[str, Any]:
    return {
        "before": before,
        "after": after,
        "itself": 0.95,
        "word_error_rate_before": 1.0,
        "word_error_rate_after": 1.0 + worse,
        "seconds": 8.0,
        "processor_seconds": 7.0,
    }


def _row(rows: list[Row], measure: str) -> Row:
    return next(row for row in rows if measure in row.measure)


def test_what_a_machine_lacks_is_told_and_does_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    def nobody() -> Any:
        raise AssertionError("is not there")

    lacking = [Reference(name, nobody, available=False) for name in ("ada", "bob")]
    assert measure(load_material(), lacking).rows == []
    told = capsys.readouterr().err
    assert "without ada, bob" in told
    assert "apt-get install" in told
    assert "skipped" in told


def test_a_voice_wins_where_it_is_more_like_its_reference() -> None:
    rows = _rows([_result(0.6, 0.7, 2), _result(0.6, 0.5, -1), _result(0.6, 0.8, 6)], {"heart": 0.5, "oak": 1.5})
    assert _row(rows, "more like").value == pytest.approx(200 / 3)
    assert _row(rows, "more like").verdict == "MISSED"
    assert _row(rows, "more than the best built-in").value == 6
    assert _row(rows, "more than the best built-in").verdict == "MISSED"
    assert _row(rows, "built-in voices, worst").value == 1.5
    assert _row(rows, "making a voice").verdict == "met"


def test_drift_is_the_change_between_the_halves_of_an_answer() -> None:
    change, range_ = _drift_rows([0.8, 0.8, 0.7, 0.6])
    assert change.value == pytest.approx(-0.15)
    assert range_.value == pytest.approx(0.2)
