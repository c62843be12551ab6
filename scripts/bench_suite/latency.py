"""Turn latency: spoken questions in real time, true end of speech to the first audio of the answer."""

from collections.abc import Sequence

from scripts.bench_suite.material import Material
from scripts.bench_suite.report import Findings, Row, spread
from scripts.bench_suite.server import Server
from scripts.bench_suite.speakers import Speaker, utter
from scripts.bench_suite.turns import Turn, ask

MEDIAN_AIM_MS, P90_AIM_MS = 450.0, 700.0


async def measure(
    server: Server, material: Material, voices: Sequence[Speaker], silence_ms: int, n_questions: int
) -> Findings:
    """Every question in every voice, each in a session of its own, hung up at the first sound."""
    turns: list[Turn] = []
    for speaker in voices:
        for seed, question in enumerate(material.questions[:n_questions]):
            turn, _ = await ask(server.realtime_url, utter(speaker, question.text), silence_ms, whole=False, seed=seed)
            turns.append(turn)
    return summarised(turns, silence_ms)


def summarised(turns: Sequence[Turn], silence_ms: int) -> Findings:
    """Rows of the client's and the server's own figures."""
    name = f"turn latency, VAD {silence_ms} ms"
    answered = [turn for turn in turns if turn.latency_s is not None]
    rows = spread(name, [t.latency_s for t in answered if t.latency_s is not None], MEDIAN_AIM_MS, P90_AIM_MS)
    rows += spread(f"{name}, first audible sample", _present([t.audible_latency_s for t in turns]), None, None)
    rows += spread(f"{name}, as the server says", _present([t.server_latency_s for t in turns]), None, None)
    rows += spread("first-audio latency", _present([t.server_first_audio_s for t in turns]), None, None)
    rows.append(Row(f"{name}, questions without an answer", len(turns) - len(answered), "", len(turns), 0))
    return Findings(rows, {f"latency_{silence_ms}": [turn.as_dict() for turn in turns]})


def _present(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
