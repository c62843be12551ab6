from pathlib import Path

import numpy as np
import pytest
import soundfile

from scripts.bench_suite import references, speakers
from scripts.bench_suite.references import INPUT_RATE, LONGEST_S, SAID
from scripts.bench_suite.speakers import Speaker, festival


def test_enough_are_known_and_each_has_a_name_of_its_own() -> None:
    known = references.references()
    assert len(known) >= 10
    assert len({reference.name for reference in known}) == len(known)


def test_a_machine_with_nothing_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(references, "ASTERISK", tmp_path)
    assert not any(reference.available for reference in references.references())
    assert not festival("ked_diphone").available()


def test_clips_are_other_words_and_no_longer_than_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []

    def say(text: str, path: Path) -> None:
        said.append(text)
        soundfile.write(path, 0.1 * np.sin(np.arange(16_000 * 7) * (0.1 + 0.1 * len(said))), 16_000)

    monkeypatch.setattr(speakers.utter, "__defaults__", (tmp_path,))
    clip, other = references._spoken(Speaker("ada", say, lambda: True)).clips()
    assert len(clip) == len(other) == LONGEST_S * INPUT_RATE
    assert not np.array_equal(clip, other)
    assert said[: len(SAID)] == list(SAID)
    assert not set(said[len(SAID) :]) & set(SAID)
