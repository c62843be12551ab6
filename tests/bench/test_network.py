"""The bench of the MiniCPM-o network: its arithmetic, and that it runs from end to end on a tiny model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from omni.checkpoint import Checkpoint
from omni.configs import DecoderConfig
from omni.shapes import minicpm_o, n_parameters
from omni.text.llm import LanguageModel
from scripts.bench_suite import __main__ as command_line
from scripts.bench_suite import network, random_weights
from scripts.bench_suite.bounds import Bounds, Stopwatch, matmul_flops, step_bytes, weight_bytes
from scripts.bench_suite.network_turns import hold_turn, picture, sound
from scripts.bench_suite.random_weights import RandomCheckpoint, full_size, require_room
from scripts.bench_suite.report import Row, table

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other beside other work take many times as long as one."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def language_model(*, tied: bool) -> LanguageModel:
    config = DecoderConfig(
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=4,
        rms_norm_eps=1e-6,
        rope_theta=1e4,
        max_position_embeddings=32,
        vocab_size=100,
        tie_word_embeddings=tied,
    )
    return LanguageModel(config)


def test_the_least_time_is_that_of_the_slower_of_moving_and_computing() -> None:
    bounds = Bounds(bytes_per_s=100.0, flops=1_000.0)
    assert bounds.least_s(50) == 0.5
    assert bounds.least_s(50, 2_000) == 2.0


def test_a_step_reads_every_weight_once_but_the_table_of_embeddings() -> None:
    model = language_model(tied=False)
    head = 100 * 8 * 4
    attention = 4 * (8 * 8 + 8 * 4 + 8 * 4 + 8 * 8)
    rest = attention + 4 * (3 * 8 * 12) + 4 * 3 * 8
    assert step_bytes(model) == head + rest
    assert step_bytes(language_model(tied=True)) == head + rest, "a tied table is the head, and is read whole"
    assert weight_bytes(model, model) == 2 * (2 * head + rest)


def test_operations_are_two_for_each_weight_and_position() -> None:
    part = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Conv1d(4, 5, 7))
    assert matmul_flops(part, 10) == 2 * 10 * (12 + 4 * 5 * 7)


@pytest.mark.parametrize(
    ("row", "reached"),
    [
        (Row("a time", 20, "ms", 1, bound=5), 0.25),
        (Row("a rate", 20, "tokens/s", 1, better="higher", bound=80), 0.25),
        (Row("neither", 20, "ms", 1), None),
    ],
)
def test_what_was_reached_of_the_bound(row: Row, reached: float | None) -> None:
    assert row.reached == reached


def test_a_table_has_columns_for_bounds_only_if_there_are_any() -> None:
    plain, bounded = Row("a", 20, "ms", 1), Row("b", 20, "ms", 1, 60, bound=5)
    assert "bound" not in table([plain])
    assert table([plain, bounded]).splitlines()[2:] == [
        "| a | 20 ms | 1 |  |  |  |  |",
        "| b | 20 ms | 1 | ≤ 60 | met | 5 ms | 25.00% |",
    ]


def test_the_full_size_is_the_released_one() -> None:
    assert n_parameters(minicpm_o(full_size())) == 8_674_997_028
    assert full_size().llm.max_position_embeddings == 32_768
    assert full_size().slices.max_slice_nums == 9


def test_the_full_size_is_refused_where_it_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_weights, "_free_memory", lambda: 2**33)
    with pytest.raises(RuntimeError, match=r"needs 24 GiB on cpu, and 8 GiB are free; use a larger GPU"):
        require_room(CPU)
    monkeypatch.setattr(random_weights, "_free_memory", lambda: 2**36)
    require_room(CPU)


def test_random_weights_answer_in_sound(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Checkpoint(tiny_folder).config
    # as at full size, the head has rows for which the tokenizers at hand have no text
    assert config.llm.vocab_size
    wider = replace(config, llm=replace(config.llm, vocab_size=10 * config.llm.vocab_size))
    monkeypatch.setattr(random_weights, "full_size", lambda: wider)
    model, inside = network.loaded(RandomCheckpoint(tiny_folder), CPU)
    assert inside.config is wider
    turn = hold_turn(model, model.open("", None), Stopwatch(CPU), enough_s=0.2)
    assert turn.first_audio_s is not None and turn.sound_s > 0
    assert turn.held["LLM cache"] > 0 and turn.held["hearing"] > 0


def test_input_is_what_a_microphone_and_a_camera_give() -> None:
    heard = sound(2)
    assert heard.shape == (32_000,) and heard.dtype == np.float32
    assert 0.05 < np.abs(heard).max() < 1
    assert picture(0).shape == (480, 640, 3)
    assert not np.array_equal(picture(0), picture(1))


def test_a_stopwatch_warms_up_before_it_counts() -> None:
    calls: list[int] = []
    times_s = Stopwatch(CPU).times_s(lambda: calls.append(len(calls)), 3)
    assert (len(times_s), len(calls)) == (3, 4)
    assert Stopwatch(CPU).run(lambda: "done")[0] == "done"


@pytest.mark.parametrize(
    ("device", "n_parameters", "judged"),
    [("cuda", 7_615_616_512, True), ("cuda", 500_000_000, False), ("cpu", 7_615_616_512, False)],
)
def test_what_is_not_of_the_released_size_is_measured_and_not_judged(
    device: str, n_parameters: int, judged: bool
) -> None:
    assert (network.aims_for(torch.device(device), n_parameters).unit_ms is not None) == judged


def test_it_measures_a_whole_checkpoint(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "measure_bounds", lambda watch, dtype: Bounds(1e9, 1e9))
    found = network.measure(Checkpoint(tiny_folder), CPU, n=1, n_turns=1, enough_s=1.0)
    rows = {row.measure: row for row in found.rows}
    for name in (
        "loaded in",
        "weights: all",
        "a session opened with a new voice",
        "a unit of sound alone",
        "a unit of sound and a picture",
        *(f"LLM writes, {n} sessions" for n in (2, 4, 8)),
        "talker, 1 session",
        "real-time factor: codes to sound",
        "first audio after the end of a turn, median",
        "real-time factor: writing and speaking",
        "a session: LLM cache",
        "memory at most, one session",
    ):
        assert rows[name].value > 0, name
    alone, pictured = rows["a unit of sound alone"], rows["a unit of sound and a picture"]
    assert alone.bound is not None and pictured.bound is not None and alone.bound < pictured.bound
    assert {row.measure: row.aim for row in found.rows if row.aim} == {
        "talker, 1 session": 46.875,
        "talker, 8 sessions": 375,
    }
    llm = Checkpoint(tiny_folder).config.llm
    kib = 2 * llm.num_hidden_layers * llm.num_key_value_heads * llm.head_dim * 4 / 1_024
    assert rows["a session: LLM cache, each token"].value == kib


@pytest.mark.parametrize(
    ("words", "message"), [(["--model", "/no/where"], "is no folder"), (["--device", "cuda"], "cpu")]
)
def test_what_cannot_be_measured_is_said_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["bench", "network", *words])
    assert command_line.main() == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("bench: ")
    assert message in said.err
