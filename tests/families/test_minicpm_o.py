"""MiniCPM-o as an engine drives it, on a small checkpoint of random weights."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from omni.checkpoint import CheckpointError, find
from omni.families.minicpm_o import MiniCpmO, load_minicpm_o
from omni.families.minicpm_o_network import Prompt
from omni.families.minicpm_o_state import State
from omni.model import Phase
from omni.nn.cache import KvCache
from omni.nn.sampling import Draw, by_chance
from omni.text.window import Window
from omni.types import Delta, Pcm, Reply, SpeechDelta, TextDelta, TurnEnd, Unit

SECOND = 16_000
SHORT = Reply(max_tokens=24)


def noise(seconds: float = 1.0, seed: int = 0) -> Pcm:
    return np.random.default_rng(seed).standard_normal(round(seconds * SECOND), np.float32) / np.float32(10)


def picture(shade: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return np.full((60, 80, 3), shade, np.uint8)


def seeded() -> Draw:
    return by_chance(torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Iterator[MiniCpmO]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    loaded = load_minicpm_o(find(str(tiny_folder)), device="cpu", mode="omni", language="en")
    loaded._new_draw = seeded
    yield loaded
    torch.set_num_threads(n_threads)


@dataclass
class Told:
    """What the language model was told: the text of every stretch of context, by the cache that took it."""

    texts: list[str] = field(default_factory=list)


@pytest.fixture
def told(model: MiniCpmO, monkeypatch: pytest.MonkeyPatch) -> Told:
    told, read, encode = Told(), model._network.read, model._tokenizer.encode
    spelled: dict[tuple[int, ...], str] = {}

    def encoding(text: str) -> list[int]:
        ids = encode(text)
        spelled[tuple(ids)] = text
        return ids

    def reading(prompts: Sequence[Prompt], caches: Sequence[KvCache]) -> list[torch.Tensor]:
        told.texts += [spelled[tuple(prompt.ids)].replace("<unk>", "") for prompt in prompts]
        return read(prompts, caches)

    monkeypatch.setattr(model._tokenizer, "encode", encoding)
    monkeypatch.setattr(model._network, "read", reading)
    return told


@dataclass
class Heard:
    """An answer as it came out."""

    text: str = ""
    words: list[tuple[str, float]] = field(default_factory=list)
    pcm: list[Pcm] = field(default_factory=list)
    end: TurnEnd | None = None

    @property
    def sound_s(self) -> float:
        return sum(map(len, self.pcm)) / 24_000

    @property
    def said(self) -> str:
        return "".join(word for word, _ in self.words)

    def take(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            match delta:
                case TextDelta(text):
                    self.text += text
                case SpeechDelta(pcm, words):
                    self.words += [(word.text, self.sound_s + word.start_s) for word in words]
                    self.pcm.append(pcm)
                case TurnEnd():
                    self.end = delta


def step_all(model: MiniCpmO, states: Sequence[State], answers: Sequence[Heard], n_steps: int = 400) -> None:
    """Think and speak in turns until every answer ends, or so many times."""
    for _ in range(n_steps):
        if all(answer.end for answer in answers):
            return
        for phase in (Phase.THINK, Phase.SPEAK):
            for answer, deltas in zip(answers, model.step(phase, states), strict=True):
                answer.take(deltas)


def asked(model: MiniCpmO, seed: int = 1) -> State:
    state = model.open("", None)
    model.listen([Unit(audio=noise(seed=seed))], [state])
    return state


def answered(model: MiniCpmO, state: State, reply: Reply = SHORT, n_steps: int = 400) -> Heard:
    heard = Heard()
    model.begin(state, reply)
    step_all(model, [state], [heard], n_steps)
    return heard


# -------------------------------------------------------------------- opening


def test_a_checkpoint_without_ears_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deaf"
    shutil.copytree(tiny_folder, folder)
    described = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**described, "init_audio": False}))
    with pytest.raises(CheckpointError, match="has no ears"):
        load_minicpm_o(find(str(folder)), device="cpu", mode="omni", language="en")


def test_the_voices_beside_the_checkpoint_are_built_in(model: MiniCpmO) -> None:
    assert model.capabilities.voices[0].name == "default"
    assert all(voice.state["features"].shape[1] == 128 for voice in model.capabilities.voices)


def test_a_session_opens_with_the_voice_and_the_instructions(model: MiniCpmO, told: Told) -> None:
    state = model.open("Be brief.<image>", model.capabilities.voices[1])
    assert state.cache.length > 70
    [text] = told.texts
    assert text.startswith("<|im_start|>user\nYou are a helpful assistant.")
    assert "audio prompt.<|audio_start|><|audio_end|>" in text
    assert text.endswith("voice style.\nBe brief.<\N{ZERO WIDTH SPACE}image><|im_end|>\n")


def test_sessions_that_open_alike_share_the_work_and_nothing_else(model: MiniCpmO, told: Told) -> None:
    one = model.open("Alike.", None)
    other = model.open("Alike.", None)
    assert len(told.texts) == 1
    before = other.cache.keys.clone()
    model.listen([Unit(text="Hello.")], [one])
    assert one.cache.length > other.cache.length
    assert torch.equal(other.cache.keys, before)


@pytest.mark.parametrize("seconds", [0.5, 31])
def test_a_reference_of_the_wrong_length_is_refused(model: MiniCpmO, seconds: float) -> None:
    with pytest.raises(ValueError, match="give 1 to 30 s"):
        model.prepare_voice("mine", noise(seconds))


def test_a_prepared_voice_speaks_otherwise(model: MiniCpmO) -> None:
    mine = model.prepare_voice("mine", noise(2.0, seed=9))
    states = [model.open("", voice) for voice in (None, mine)]
    for state in states:
        model.listen([Unit(text="Hello.")], [state])
    first, second = (np.concatenate(answered(model, state).pcm) for state in states)
    assert len(first) != len(second) or not np.allclose(first, second)


# -------------------------------------------------------------------- the user's turn


def test_units_are_spelled_as_in_training(model: MiniCpmO, told: Told) -> None:
    state = model.open("Spelled.", None)
    told.texts.clear()
    model.listen([Unit(audio=noise(), image=picture(0))], [state])
    model.listen([Unit(audio=noise())], [state])
    model.listen([Unit(text="And now?")], [state])
    model.listen([Unit(text="Well?")], [state])
    model.listen([Unit(audio=noise(0.01))], [state])
    assert told.texts == [
        "<|im_start|>user\n<unit><image></image><|audio_start|><|audio_end|>",
        "<|audio_start|><|audio_end|>",
        "And now?",
        "\nWell?",
    ]
    assert state.standing == "user"


def test_history_stands_as_if_it_had_been_spoken(model: MiniCpmO, told: Told) -> None:
    state = model.open("History.", None)
    told.texts.clear()
    model.listen([Unit(text="Who are you?")], [state])
    model.listen([Unit(text="A machine.", role="assistant")], [state])
    model.listen([Unit(text="Be kind.", role="system")], [state])
    model.listen([Unit(text="Thanks.")], [state])
    assert told.texts == [
        "<|im_start|>user\nWho are you?",
        "<|im_end|>\n<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>A machine.<|tts_eos|>",
        "<|im_end|>\n<|im_start|>system\nBe kind.<|im_end|>\n",
        "<|im_start|>user\nThanks.",
    ]


def test_a_text_too_long_is_refused_and_changes_nothing(model: MiniCpmO) -> None:
    state, other = model.open("", None), model.open("", None)
    long = "a " * 5_000
    for unit in (Unit(text=long), Unit(text=long, role="system"), Unit(text=long, audio=noise())):
        with pytest.raises(ValueError, match="tokens is too long"):
            model.listen([unit], [state])
    with pytest.raises(ValueError, match="tokens is too long"):
        model.open(long, None)
    for each in (state, other):
        model.listen([Unit(audio=noise())], [each])
    assert (state.ledger, state.audio.length) == (other.ledger, other.audio.length)
    assert torch.equal(ids_in(state), ids_in(other))


def test_of_what_passes_by_only_the_newest_is_seen_and_only_by_a_turn(model: MiniCpmO, told: Told) -> None:
    state = model.open("Glances.", None)
    length = state.cache.length
    told.texts.clear()
    for shade in (0, 100, 200):
        model.listen([Unit(image=picture(shade), glance=True)], [state])
    assert (told.texts, state.cache.length) == ([], length)
    model.listen([Unit(text="What is it?")], [state])
    model.listen([Unit(text="Really?")], [state])
    assert told.texts == ["<|im_start|>user\n<unit><image></image>What is it?", "\nReally?"]
    other = model.open("Glances.", None)
    model.listen([Unit(image=picture(200), text="What is it?")], [other])
    model.listen([Unit(text="Really?")], [other])
    assert torch.equal(state.cache.keys[:, :, : state.cache.length], other.cache.keys[:, :, : other.cache.length])


def test_a_picture_that_is_shown_is_seen_even_if_nobody_speaks(model: MiniCpmO, told: Told) -> None:
    state = model.open("", None)
    told.texts.clear()
    model.listen([Unit(image=picture(0), glance=True)], [state])
    model.begin(state, Reply())
    assert told.texts == ["<|im_start|>user\n<unit><image></image>"]


# -------------------------------------------------------------------- the assistant's turn


def test_an_answer_is_written_and_spoken(model: MiniCpmO) -> None:
    heard = answered(model, asked(model))
    assert heard.end is not None
    assert heard.end.n_tokens <= 24
    assert heard.said == heard.text != ""
    assert heard.sound_s > 0.5
    assert all(0 <= start_s <= heard.sound_s for _, start_s in heard.words)
    assert float(np.abs(np.concatenate(heard.pcm)).max()) > 0.01


def test_sound_begins_before_the_text_is_complete(model: MiniCpmO) -> None:
    state, heard = asked(model), Heard()
    model.begin(state, Reply(max_tokens=60))
    while not heard.pcm:
        step_all(model, [state], [heard], 1)
    assert state.answer
    assert not state.answer.written


def test_a_written_answer_needs_no_talker(model: MiniCpmO) -> None:
    state = asked(model)
    model.begin(state, Reply(speaks=False, max_tokens=9))
    heard = Heard()
    while heard.end is None:
        heard.take(model.step(Phase.THINK, [state])[0])
    assert heard.text
    assert not heard.pcm
    assert heard.end.n_tokens <= 9


def test_instructions_for_one_reply_stand_right_before_it(model: MiniCpmO, told: Told) -> None:
    state = asked(model)
    told.texts.clear()
    model.begin(state, Reply(instructions="Whisper."))
    assert told.texts == ["<|im_end|>\n<|im_start|>system\nWhisper.<|im_end|>\n"]


def test_what_else_is_in_the_batch_does_not_show(model: MiniCpmO) -> None:
    alone = [answered(model, asked(model, seed)) for seed in (1, 2, 3)]
    states, together = [asked(model, seed) for seed in (1, 2, 3)], [Heard() for _ in range(3)]
    for state in states:
        model.begin(state, Reply(max_tokens=24))
    step_all(model, states, together)
    for one, other in zip(alone, together, strict=True):
        assert one.text == other.text
        np.testing.assert_allclose(np.concatenate(one.pcm), np.concatenate(other.pcm), atol=1e-4)


def test_units_of_several_sessions_are_heard_together(model: MiniCpmO) -> None:
    units = [Unit(audio=noise(seed=1)), Unit(audio=noise(0.4), image=picture(90)), Unit(text="Hello."), Unit(text="")]
    alone, together = ([model.open("", None) for _ in units] for _ in range(2))
    for unit, state in zip(units, alone, strict=True):
        model.listen([unit], [state])
    model.listen(units, together)
    for one, other in zip(alone, together, strict=True):
        n = one.cache.length
        assert n == other.cache.length
        torch.testing.assert_close(one.cache.keys[:, :, :n], other.cache.keys[:, :, :n], atol=1e-4, rtol=0)


# -------------------------------------------------------------------- going back


def ids_in(state: State) -> torch.Tensor:
    """What the cache holds, as far as anybody can tell."""
    return state.cache.keys[:, :, : state.cache.length].clone()


def test_a_guess_that_was_wrong_leaves_nothing(model: MiniCpmO) -> None:
    state, undisturbed = asked(model), asked(model)
    mark = model.mark(state)
    answered(model, state, n_steps=3)
    model.rewind(state, mark)
    for each in (state, undisturbed):
        model.listen([Unit(audio=noise(seed=5))], [each])
    torch.testing.assert_close(ids_in(state), ids_in(undisturbed))
    assert state.answer is None


def test_a_cough_over_an_answer_does_not_change_it(model: MiniCpmO) -> None:
    plain = answered(model, asked(model))
    state, heard = asked(model), Heard()
    model.begin(state, Reply(max_tokens=24))
    for _ in range(3):
        step_all(model, [state], [heard], 3)
        mark = model.mark(state)
        model.listen([Unit(audio=noise(seed=6))], [state])
        model.rewind(state, mark)
    step_all(model, [state], [heard])
    assert heard.text == plain.text
    np.testing.assert_allclose(np.concatenate(heard.pcm), np.concatenate(plain.pcm), atol=1e-5)


def test_an_answer_that_goes_on_leaves_its_marks_alone(model: MiniCpmO) -> None:
    state, heard = asked(model), Heard()
    model.begin(state, Reply(max_tokens=24))
    step_all(model, [state], [heard], 5)
    mark = model.mark(state)
    assert state.answer
    assert state.answer.speech
    n_frames, n_written, text = len(state.answer.speech.talker.frames), len(state.answer.ends), heard.text
    for _ in range(2):
        step_all(model, [state], [Heard()], 3)
        model.rewind(state, mark)
        assert state.answer.speech
        assert (len(state.answer.speech.talker.frames), len(state.answer.ends)) == (n_frames, n_written)
    step_all(model, [state], [heard])
    assert heard.text.startswith(text)
    assert heard.said == heard.text


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_what_nobody_heard_is_forgotten(model: MiniCpmO, share: float) -> None:
    state = asked(model)
    before = ids_in(state)
    heard = answered(model, state)
    whole = state.cache.length
    model.truncate(state, share * heard.sound_s)
    assert torch.equal(ids_in(state)[:, :, : before.shape[2]], before)
    if share == 0.0:
        assert state.cache.length == before.shape[2]
        assert state.standing == "user"
    elif share == 1.0:
        assert state.cache.length == whole
    else:
        assert before.shape[2] + 9 < state.cache.length < whole
        assert state.standing == "interrupted"


def test_an_interrupted_answer_is_closed_as_in_training(model: MiniCpmO, told: Told) -> None:
    state = asked(model)
    heard = answered(model, state, n_steps=8)
    model.truncate(state, heard.sound_s / 2)
    told.texts.clear()
    model.listen([Unit(text="Stop.")], [state])
    assert told.texts == ["<|tts_eos|><|im_end|>\n<|im_start|>user\nStop."]


def test_news_of_less_being_heard_may_come_late(model: MiniCpmO) -> None:
    state = asked(model)
    heard = answered(model, state)
    model.truncate(state, heard.sound_s * 0.8)
    model.listen([Unit(text="What else?")], [state])
    length = state.cache.length
    mark = model.mark(state)
    model.truncate(state, heard.sound_s * 0.3)
    assert state.cache.length < length
    assert state.standing == "user"
    cut = state.cache.length
    model.listen([Unit(text="Hm?")], [state])
    model.rewind(state, mark)
    assert state.cache.length == cut
    assert answered(model, state).end is not None


def test_truncating_twice_or_before_anything_was_said_is_no_error(model: MiniCpmO) -> None:
    state = asked(model)
    length = state.cache.length
    model.truncate(state, 0.0)
    model.begin(state, Reply())
    model.truncate(state, 0.0)
    model.truncate(state, 0.0)
    assert (state.cache.length, state.standing) == (length, "user")
    assert answered(model, state).end is not None


@pytest.mark.parametrize("speaks", [True, False])
def test_an_answer_that_was_never_begun_takes_nothing_with_it(model: MiniCpmO, speaks: bool) -> None:
    state = asked(model)
    before = ids_in(state)
    model.begin(state, Reply(speaks=speaks))
    for _ in range(2):
        model.truncate(state, 0.0)
        assert torch.equal(ids_in(state), before)
        assert state.standing == "user"


def test_a_cough_before_the_first_word_of_a_greeting_does_not_silence_it(model: MiniCpmO) -> None:
    state = model.open("", None)
    model.begin(state, SHORT)
    mark = model.mark(state)
    model.listen([Unit(audio=noise(seed=6))], [state])
    model.rewind(state, mark)
    heard = Heard()
    step_all(model, [state], [heard])
    assert heard.end is not None


def test_a_written_answer_stays(model: MiniCpmO) -> None:
    state = asked(model)
    model.begin(state, Reply(speaks=False, max_tokens=12))
    model.step(Phase.THINK, [state])
    length = state.cache.length
    model.truncate(state, float("inf"))
    assert state.cache.length == length
    assert state.standing == "interrupted"


def test_a_closed_session_holds_nothing(model: MiniCpmO) -> None:
    state = asked(model)
    answered(model, state, n_steps=4)
    model.close(state)
    assert state.cache.nbytes == 0
    assert state.answer is None


# -------------------------------------------------------------------- long calls


def test_a_call_goes_on_beyond_the_window(model: MiniCpmO, monkeypatch: pytest.MonkeyPatch) -> None:
    state = model.open("Remember me.", None)
    prompt = ids_in(state)
    monkeypatch.setattr(model, "window", Window(limit=500, target=400))
    marks = []
    for turn in range(6):
        for second in range(3):
            marks.append(model.mark(state))
            model.listen([Unit(audio=noise(seed=turn), image=picture(second))], [state])
        assert state.cache.length <= 500
        assert answered(model, state, Reply(speaks=False, max_tokens=6)).end
    assert torch.equal(ids_in(state)[:, :, : prompt.shape[2]], prompt)
    # far back is forgotten, and going there is the beginning; not so far back is what it was
    model.rewind(state, marks[-1])
    assert state.standing == "user"
    model.rewind(state, marks[1])
    assert (state.cache.length, state.standing) == (prompt.shape[2], "nothing")
    assert answered(model, state, Reply(speaks=False, max_tokens=6)).end


@pytest.mark.parametrize(
    ("mode", "language", "begins"),
    [
        ("omni", "zh", "你是一个AI助手"),
        ("audio_assistant", "en", "Use the voice in the audio prompt"),
        ("audio_roleplay", "zh", "模仿输入音频中的声音特征。"),
        ("voice_cloning", "en", "Clone the voice"),
        ("default", "en", "You are a helpful assistant. You can accept audio and text"),
    ],
)
def test_every_mode_opens(model: MiniCpmO, told: Told, mode: str, language: str, begins: str) -> None:
    other = MiniCpmO(model._network, model._tokenizer, mode=mode, language=language)  # type: ignore[arg-type]
    other.open("", model.capabilities.voices[0])
    assert told.texts[0].startswith(f"<|im_start|>user\n{begins}")
