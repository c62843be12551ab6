"""Time's quantities divide evenly, or say so."""

import re
from pathlib import Path

import pytest

from omni.timing import Timing, exact_div

ROOT = Path(__file__).parents[1]


def test_derived_quantities() -> None:
    timing = Timing()
    assert timing.unit_samples * 1_000 == timing.input_rate * timing.unit_ms
    assert timing.packet_samples * 1_000 == timing.input_rate * timing.packet_ms
    assert timing.window_s == pytest.approx(0.032)


def test_rounding_is_refused() -> None:
    assert exact_div(6, 3) == 2
    with pytest.raises(ValueError, match="no multiple"):
        exact_div(7, 3)
    with pytest.raises(ValueError, match="divide evenly"):
        _ = Timing(input_rate=11_025, packet_ms=7).packet_samples


@pytest.mark.parametrize("path", sorted((ROOT / "streaming").rglob("*.py")), ids=lambda path: path.name)
def test_no_rate_is_written_elsewhere(path: Path) -> None:
    assert not re.search(r"\b(?:16|24|48)_?000\b", path.read_text()), "take rates from omni.timing"
