"""omni chat as a person uses it, with the tiny checkpoint: every kind of file, every task, and what goes wrong."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from omni.families.minicpm_o.chat import Chat, Delta, Layout, Message, Spelled, Wish
from omni.text.presets import PRESETS
from omni.timing import Timing
from omni.types import TextDelta, TurnEnd, Unit
from streaming import __main__ as command_line
from tests.films import film, tone

RATE = Timing().input_rate


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    soundfile.write(folder / "question.wav", tone(1.5, 220, 44_100), 44_100)
    film(folder / "question.m4a", 1.5, sound=tone(1.5, 220), codec="aac")
    soundfile.write(folder / "silence.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "blip.wav", tone(0.05, 220), RATE)
    soundfile.write(folder / "long.wav", tone(31, 220), RATE)
    Image.fromarray(np.full((60, 80, 3), 120, np.uint8)).save(folder / "picture.png")
    film(folder / "talkie.mkv", 2, sound=tone(2, 300))
    film(folder / "silent.mkv", 20)
    film(folder / "short.mkv", 2)
    return folder


Run = Callable[..., tuple[int, str, str]]
"""words of the command line to status, standard output and errors"""


@pytest.fixture
def run(files: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(files)

    def run(*words: str, model: str | None = str(tiny_folder)) -> tuple[int, str, str]:
        status = command_line.main(["chat", *(["--model", model, "--device", "cpu"] if model else []), *words])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[Message], Wish]]:
    """What the model was asked; it answers in two words."""
    asked: list[tuple[Sequence[Message], Wish]] = []

    def answer(self: Chat, conversation: Sequence[Message], wish: Wish) -> list[Delta]:
        asked.append((conversation, wish))
        return [TextDelta("I "), TextDelta("see."), TextDelta("", last=True), TurnEnd("completed", 2)]

    monkeypatch.setattr(Chat, "answer", answer)
    return asked


def kinds(message: Message) -> list[str]:
    return [
        type(part).__name__ if not isinstance(part, np.ndarray) else {3: "picture", 1: "sound"}[part.ndim]
        for part in message.parts
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["What is this?", "--image", "picture.png"],
        ["--audio", "question.wav"],
        ["--audio", "long.wav", "--image", "picture.png", "--image", "picture.png", "And now?"],
        ["What happens?", "--video", "talkie.mkv"],
        ["What happens?", "--video", "silent.mkv"],
        ["--audio", "question.m4a"],
    ],
)
def test_a_question_with_any_kind_of_file_is_answered(run: Run, words: list[str]) -> None:
    status, text, errors = run(*words)
    assert (status, errors) == (0, "")
    assert len(text.split()) > 1


def test_the_answer_is_spoken_into_a_file(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "answer.wav"
    assert run("Who are you?", "--out", str(out))[0] == 0
    sound, rate = soundfile.read(out)
    assert rate == Timing().output_rate
    assert len(sound) > rate / 10
    assert np.abs(sound).max() > 0


def test_files_keep_their_order_and_the_question_comes_last(
    run: Run, asked: list[tuple[Sequence[Message], Wish]]
) -> None:
    status, text, _ = run("What?", "--audio", "question.wav", "--image", "picture.png", "--audio", "question.wav")
    assert (status, text) == (0, "I see.\n")
    (message,), wish = asked[0]
    assert message.role == "user"
    assert kinds(message) == ["sound", "picture", "sound", "str"]
    assert wish == Wish()


def test_a_video_with_sound_is_units_behind_the_system_prompt(
    run: Run, asked: list[tuple[Sequence[Message], Wish]]
) -> None:
    run("What?", "--video", "talkie.mkv", "--language", "zh")
    (system, message), wish = asked[0]
    assert isinstance(told := system.parts[0], Spelled)
    assert told.text.startswith("你是一个AI助手。")
    assert kinds(message) == ["Unit", "Unit", "str"]
    assert all(isinstance(part, Unit) and part.audio is not None for part in message.parts[:2])
    assert wish.layout == Layout("", 1, False)
    assert (wish.sampling.temperature, wish.max_tokens) == (0.5, 4096)


@pytest.mark.parametrize(("name", "n", "max_slices"), [("short.mkv", 2, 2), ("silent.mkv", 20, 1)])
def test_a_video_without_sound_is_pictures(
    run: Run, asked: list[tuple[Sequence[Message], Wish]], name: str, n: int, max_slices: int
) -> None:
    run("What?", "--video", name)
    (message,), wish = asked[0]
    assert kinds(message) == ["picture"] * n + ["str"]
    assert wish.layout == Layout("\n", max_slices, False)


def test_a_voice_brings_the_system_prompt_of_the_mode(run: Run, asked: list[tuple[Sequence[Message], Wish]]) -> None:
    run("Who are you?", "--voice", "question.wav", "--mode", "audio_roleplay", "--out", "answer.wav")
    (system, _), _ = asked[0]
    assert kinds(system) == ["Spelled", "sound", "Spelled"]
    assert isinstance(last := system.parts[-1], Spelled)
    assert "role-play" in last.text


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_task_is_put_as_its_documentation_does(
    run: Run, asked: list[tuple[Sequence[Message], Wish]], name: str
) -> None:
    preset = PRESETS[name]
    words = {"sound": ["--audio", "question.wav"], "voice": ["--voice", "question.wav"], "text": ["Good morning."]}
    given = [word for need in preset.needs for word in words[need]]
    run("--preset", name, *given, *(["--out", "answer.wav"] if preset.speaks else []))
    *system, message = asked[0][0]
    assert message.parts[0] == preset.prompt("en")
    assert kinds(message)[1:] == ["str" if "text" in preset.needs else "sound"]
    assert [kinds(each) for each in system] == ([["Spelled", "sound"]] if preset.system else [])
    wish = asked[0][1]
    assert (wish.sampling.temperature, wish.max_tokens, wish.speaks) == (0.3, 128, preset.speaks)


def test_a_question_adds_to_a_task_and_the_language_chooses_its_prompt(
    run: Run, asked: list[tuple[Sequence[Message], Wish]]
) -> None:
    run("--preset", "transcribe", "--audio", "question.wav", "--language", "zh", "只写数字。")
    (message,) = asked[0][0]
    assert message.parts[0] == PRESETS["transcribe"].prompts["zh"]
    assert message.parts[2] == "只写数字。"


def test_an_answer_that_is_cut_is_told_apart(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = [TextDelta("It"), TextDelta("", last=True), TurnEnd("max_tokens", 1)]
    monkeypatch.setattr(Chat, "answer", lambda *_: cut)
    assert run("Why?") == (0, "It\n", "omni: the answer was cut after 1 tokens\n")


def test_what_has_nothing_to_say_writes_no_file(run: Run, asked: object, tmp_path: Path) -> None:
    status, _, errors = run("Why?", "--out", str(tmp_path / "answer.wav"))
    assert status == 1
    assert "nothing was said" in errors
    assert not (tmp_path / "answer.wav").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "ask something"),
        (["  "], "ask something"),
        (["--image", "picture.png"], "ask something"),
        (["--preset", "transcribe"], "needs --audio"),
        (["--preset", "clone-and-read", "Hello", "--out", "a.wav"], "needs --voice"),
        (["--preset", "clone-and-read", "--voice", "question.wav", "--out", "a.wav"], "the text to read"),
        (["--preset", "mimic", "--audio", "question.wav"], "--out"),
        (["What?", "--video", "silent.mkv", "--video", "talkie.mkv"], "one video"),
        (["What?", "--voice", "question.wav", "--mode", "default"], "--mode default"),
        (["What?", "--voice", "question.wav"], "add --out ANSWER.wav"),
        (["What?", "--voice", "heart", "--out", "a.wav"], "--voice takes a recording"),
        (["What?", "--out", "a.mp3"], "ends in .wav"),
        (["--audio", "."], ". is a folder; name a file in it"),
        (["What?", "--out", "/does/not/exist/a.wav"], "no folder /does/not/exist"),
        (["What?", "--image", "absent.png"], "no file absent.png"),
        (["What?", "--image", "question.wav"], "question.wav: the picture"),
        (["--audio", "picture.png"], "picture.png: it is no sound file that can be read: Format not recognised; WAV,"),
        (["--audio", "silence.wav"], "silence.wav is silent"),
        (["--audio", "blip.wav"], "blip.wav lasts 0.05 s"),
        (["What?", "--voice", "long.wav", "--out", "a.wav"], "longer than 30 s"),
        (["What?", "--voice", "silence.wav", "--out", "a.wav"], "silent"),
        (["What?", "--video", "question.wav"], "no pictures"),
        (["the dog sees a market " * 9_000], "room for 32768"),
    ],
)
def test_a_bad_request_is_explained(run: Run, words: list[str], message: str) -> None:
    status, text, errors = run(*words)
    assert (status, text) == (2, "")
    assert message in errors


def test_another_kind_of_model_is_refused(run: Run, files: Path) -> None:
    assert "--model FOLDER" in run("What?", model=None)[2]
    status, _, errors = run("What?", model=str(files))
    assert status == 1
    assert "config.json" in errors


def test_a_missing_package_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streaming.cli.offline", None)
    status, _, errors = run("What?")
    assert status == 1
    assert "minicpm-o" in errors
