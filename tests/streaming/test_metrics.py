"""What monitors read, made from events alone."""

import numpy as np

from omni.model import Capabilities
from omni.timing import Timing
from streaming.events import AudioPart, Closed, Fault, Item, Measured, Opened, ResponseEnded, ResponseSpeech, Settings
from streaming.metrics import Metrics, Received
from streaming.tdm.jitter import Jitter


def test_events_become_counts_and_latencies() -> None:
    timing = Timing()
    metrics = Metrics(timing.output_rate)
    item = Item("item_1", "assistant", (AudioPart("hello", 1.0),))
    for event in (
        Opened("sess_1", Capabilities("nano", (), sees=True, transcribes=True), timing, Settings(), ()),
        ResponseSpeech("resp_1", "item_1", np.zeros(timing.output_rate, np.float32), "hello", 0.0, 1),
        Measured("resp_1", 0.45, 0.05),
        Measured("resp_2", 9.0, 0.2),
        ResponseEnded("resp_1", item, "completed", None, None, "hello", 1, 1),
        Fault("invalid_request_error", "invalid_value", "no"),
        Closed("idle", "nothing came"),
    ):
        metrics.watch(event)
    lines = metrics.text(3, Received()).splitlines()
    for line in (
        "omni_sessions_active 3",
        "omni_sessions_opened_total 1",
        'omni_sessions_closed_total{reason="idle"} 1',
        'omni_responses_total{status="completed"} 1',
        'omni_faults_total{code="invalid_value"} 1',
        "omni_speech_seconds_total 1.0",
        'omni_turn_latency_seconds_bucket{le="0.4"} 0',
        'omni_turn_latency_seconds_bucket{le="0.5"} 1',
        'omni_turn_latency_seconds_bucket{le="4.0"} 1',
        'omni_turn_latency_seconds_bucket{le="+Inf"} 2',
        "omni_turn_latency_seconds_sum 9.450000",
        "omni_turn_latency_seconds_count 2",
        'omni_first_audio_seconds_bucket{le="0.1"} 1',
    ):
        assert line in lines, line


def test_every_sample_has_its_help_and_type() -> None:
    text = Metrics(Timing().output_rate).text(0, Received())
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    for line in text.splitlines():
        if not line.startswith("#"):
            name = line.split("{")[0].split()[0]
            assert any(name in {known, f"{known}_bucket", f"{known}_sum", f"{known}_count"} for known in names), line


def test_microphones_are_counted_while_they_are_heard_and_after() -> None:
    received, over, now = Received(), Jitter(100, len), Jitter(100, len)
    with received.of(over):
        for number in (0, 1, 1):
            over.push(number, number, b"x", 0.0)
        assert over.pull(0.0) == b"x"
        assert "omni_microphone_waiting_packets 1" in received.lines()
    with received.of(now):
        now.push(0, 0, b"x", 0.0)
        lines = [*received.lines()]
    assert 'omni_microphone_packets_total{what="received"} 4' in lines
    assert 'omni_microphone_packets_total{what="repeated"} 1' in lines
    assert "omni_microphone_waiting_packets 1" in lines
    assert "omni_microphone_patience_seconds 0.1" in lines
    assert "omni_microphone_waiting_packets 0" in received.lines()
