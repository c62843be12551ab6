"""Patience: utterances with a pause of 0.6 s inside. Sound of an answer before their end is an early answer."""

from collections.abc import Sequence

from scripts.bench_suite.material import Material
from scripts.bench_suite.report import Findings, Row
from scripts.bench_suite.server import Server
from scripts.bench_suite.speakers import Speaker, utter, with_pause
from scripts.bench_suite.turns import ask


async def measure(server: Server, material: Material, voices: Sequence[Speaker], silence_ms: int) -> Findings:
    """Every paused sentence once, the voices in turn. Each piece was synthesized alone, so that its intonation
    falls at the pause: harder than a person who hesitates."""
    details = []
    for seed, sentence in enumerate(material.pauses):
        speaker = voices[seed % len(voices)]
        utterance = with_pause(utter(speaker, sentence.before), utter(speaker, sentence.after))
        turn, _ = await ask(server.realtime_url, utterance, silence_ms, whole=False, seed=seed)
        details.append(turn.as_dict() | {"sounds_complete": sentence.sounds_complete})
    rows = []
    for name, complete in (("mid-sentence", False), ("after a whole sentence", True)):
        chosen = [detail for detail in details if detail["sounds_complete"] is complete]
        early, n = sum(detail["early"] for detail in chosen), len(chosen)
        aim = None if complete else 1.0
        rows.append(Row(f"answered inside a 0.6 s pause, {name}, VAD {silence_ms} ms", early, "", n, aim))
        split = sum(detail["n_commits"] > 1 for detail in chosen)
        rows.append(Row(f"cut in two by a 0.6 s pause, {name}, VAD {silence_ms} ms", split, "", n))
    return Findings(rows, {f"pauses_{silence_ms}": details})
