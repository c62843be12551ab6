"""Which words are about how to speak, and which about something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.text.manner import AS_IT_IS, Manner, manner_of

DESCRIPTIONS = {
    "speak slowly and softly": {"pace": -1, "loudness": -1},
    "You whisper.": {"loudness": -1},
    "cheerful, excited": {"pace": 1, "pitch": 1, "melody": 1},
    "sad, tired": {"pace": -1, "melody": -1, "loudness": -1},
    "in a deep voice": {"pitch": -1},
    "Speak in a low voice.": {"pitch": -1},
    "high voice": {"pitch": 1},
    "loud": {"loudness": 1},
    "monotone": {"melody": -1},
    "Speak like a robot.": {"melody": -1},
    "dramatic with long pauses": {"melody": 1, "pauses": 1},
    "calm": {"pace": -1, "loudness": -1},
    "Talk in a calm, soothing tone.": {"pace": -1},
    "slowly, in a low voice": {"pace": -1, "pitch": -1},
    "Your voice is soft and warm.": {"loudness": -1},
    "Tone: cheerful.": {"melody": 1},
    "Voice: deep and gravelly": {"pitch": -1},
    "You sound very tired.": {"pace": -1},
    "Read this loudly and clearly.": {"loudness": 1},
    "Speak in a cheerful and positive tone.": {"melody": 1},
    "Speak quickly, but calmly.": {"pace": 1},
    "You are a butler. You speak slowly and formally, in a deep voice.": {"pace": -1, "pitch": -1},
    "warm, gentle, unhurried, with long pauses": {"pace": -1, "loudness": -1, "pauses": 1},
    "don’t speak fast": {"pace": -1},
    "Speak with no long pauses.": {"pauses": -1},
    "Speak without pauses.": {"pauses": -1},
    "Do not speak too loudly.": {"loudness": -1},
}


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_a_description_is_heeded(text: str) -> None:
    manner = manner_of(text)
    for name, sign in DESCRIPTIONS[text].items():
        assert (getattr(manner, name) - 1) * sign > 0.02, (name, manner)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Be brief.",
        "Explain slowly moving glaciers.",
        "You are a helpful assistant. Speak about slowly moving glaciers.",
        "Talk about sad songs.",
        "You are a gentle old grandmother who loves to tell stories by the fire.",
        "Answer quickly asked questions about fast food.",
        "Answer fast food questions",
        "Read stories to sad children.",
        "You help people who are tired and bored.",
        "Tell happy stories.",
        "Say hello to loud neighbours.",
        "You are a deep learning tutor. Answer in short sentences.",
        "Answer questions about high voltage and low prices.",
        "The user speaks slowly.",
        "You talk with customers about fast cars.",
        "You are a strict chess coach who was once a grandmaster.",
        "Respond in low latency.",
        "Respond quickly and concisely.",
        "You speak like a pirate and love treasure, rum and the sea.",
        "The weather is calm.",
        "Your goal is to make sad people happy.",
        "Do not sound sad.",
    ],
)
def test_what_is_spoken_about_changes_nothing(text: str) -> None:
    assert manner_of(text) == AS_IT_IS


def test_degrees() -> None:
    paces = [manner_of(f"Speak {text}.").pace for text in ("very slowly", "slowly", "a bit slowly")]
    assert paces == sorted(paces)
    assert len({*paces}) == 3
    assert manner_of("Speak slowly. Speak slowly!") == manner_of("Speak slowly.")


def test_opposites_leave_the_voice_as_it_is() -> None:
    assert manner_of("neither fast nor slow").pace == pytest.approx(1, abs=0.02)


@given(st.text(), st.sampled_from([*DESCRIPTIONS]), st.floats(-3, 3))
def test_a_voice_stays_a_voice(text: str, description: str, share: float) -> None:
    manner = AS_IT_IS
    for _ in range(4):
        manner = manner.times(manner_of(f"{description}\n{text}"), share)
    assert 0.5 <= manner.pace <= 1.5
    assert 0.7 <= manner.pitch <= 1.4
    assert 0.1 <= manner.melody <= 1.8
    assert 0.3 <= manner.loudness <= 1.7
    assert 0.4 <= manner.pauses <= 3.0


def test_endless_instructions_are_read_in_no_time() -> None:
    assert manner_of("word " * 20_000) == AS_IT_IS
    assert manner_of("word " * 20_000 + ". Speak slowly.").pace < 1


def test_manners_multiply() -> None:
    assert Manner(pace=0.8).times(Manner(pace=1.25, pitch=1.1)) == Manner(pace=1.0, pitch=1.1)
