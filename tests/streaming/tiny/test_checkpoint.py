"""The tiny checkpoint is a whole one, and what it says comes to an end."""

import json
import sys
import wave
from io import BytesIO
from pathlib import Path

import pytest
import torch

from omni.checkpoint import TALKER_VOCABULARY, Checkpoint, find
from omni.configs import SliceConfig
from omni.families.minicpm_o.network import Network, load_network
from omni.nn.sampling import TextSampling, by_chance
from omni.shapes import minicpm_o
from omni.text.decoding import Decoding, decode
from omni.text.released import LlmTokenizer, TalkerVocabulary
from omni.text.template import SPEECH_END, SPEECH_START, TERMINATORS
from omni.timing import Timing
from streaming import __main__ as command_line
from streaming.tiny.checkpoint import write_tiny

TEXTS = ["The wise farmer finds a lamp.", "naïve Zoë paid £12.50", "你好，天气真好吗？", "🎉👩‍🚀 ok\r\n\n  x", ""]
N_ANSWERS = 12


@pytest.fixture(scope="module")
def checkpoint(tiny_folder: Path) -> Checkpoint:
    return find(str(tiny_folder))


@pytest.fixture(scope="module")
def loaded(checkpoint: Checkpoint) -> tuple[Network, LlmTokenizer]:
    return load_network(checkpoint, "cpu")


@pytest.fixture(scope="module")
def answers(loaded: tuple[Network, LlmTokenizer]) -> list[Decoding]:
    network, tokenizer = loaded
    terminators = frozenset(map(tokenizer.token_id, TERMINATORS))
    rows = []
    for number in range(N_ANSWERS):
        ids = tokenizer.encode(f"<|im_start|>user\n{number}<|im_end|>\n{SPEECH_START}")
        draw = by_chance(torch.Generator().manual_seed(number))
        rows.append(Decoding(network.llm.model.new_cache(256), ids, TextSampling(), draw, terminators, limit=150))
    decode(network.llm, rows, 150)
    return rows


def test_it_has_everything_that_the_release_has(checkpoint: Checkpoint) -> None:
    assert checkpoint.report().ok
    checkpoint.verify()
    assert set(checkpoint.shapes) == set(minicpm_o(checkpoint.config))
    assert len(set(checkpoint.files.values())) > 1
    assert len({path.stat().st_mode for path in checkpoint.folder.glob("*.*")}) == 1
    assert set(checkpoint.sounds()) == {"default", "female_example", "male_example", "video_default"}
    texts = {"preprocessor_config.json", "generation_config.json", "tokenizer.json", "vocab.json", "merges.txt"}
    assert texts | {"added_tokens.json", "special_tokens_map.json"} <= set(checkpoint.texts())
    assert sum(path.stat().st_size for path in checkpoint.folder.rglob("*") if path.is_file()) < 10_000_000


def test_its_files_agree(checkpoint: Checkpoint) -> None:
    config, texts = checkpoint.config, checkpoint.texts()
    preprocessor = json.loads(texts["preprocessor_config.json"])
    assert preprocessor["sampling_rate"] == Timing().input_rate
    assert preprocessor["scale_resolution"] == SliceConfig().scale_resolution
    tokenizer = LlmTokenizer.read(texts)
    assert tokenizer.token_id("<reserved_53>") + 1 == config.llm.vocab_size
    assert tokenizer.token_id("<unk>") < tokenizer.token_id("<|endoftext|>")
    ids = {entry["content"]: index for index, entry in _added(checkpoint).items()}
    assert config.tts
    assert ids["[spk_emb]"] == config.tts.spk_emb_token_id
    assert ids["[Ptts]"] == config.tts.audio_bos_token_id
    assert ids["[Etts]"] == config.tts.text_eos_token_id
    assert ids["[Stts]"] == TalkerVocabulary.read(checkpoint.texts(TALKER_VOCABULARY)).start_id
    assert max(ids.values()) == config.tts.num_text_tokens - 1


def _added(checkpoint: Checkpoint) -> dict[int, dict[str, str]]:
    settings = json.loads(checkpoint.texts(TALKER_VOCABULARY)["tokenizer_config.json"])
    return {int(index): entry for index, entry in settings["added_tokens_decoder"].items()}


@pytest.mark.parametrize("without", [None, "tokenizer.json"])
@pytest.mark.parametrize("text", TEXTS)
def test_any_text_can_be_read(checkpoint: Checkpoint, text: str, without: str | None) -> None:
    files = {name: content for name, content in checkpoint.texts().items() if name != without}
    tokenizer = LlmTokenizer.read(files)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode("<unk>") == [tokenizer.token_id("<unk>")]


@pytest.mark.parametrize("without", [None, "tokenizer.json"])
@pytest.mark.parametrize("text", TEXTS)
def test_any_text_can_be_spoken(checkpoint: Checkpoint, text: str, without: str | None) -> None:
    files = {name: content for name, content in checkpoint.texts(TALKER_VOCABULARY).items() if name != without}
    vocabulary = TalkerVocabulary.read(files)
    ids = vocabulary.encode(text)
    assert vocabulary.encode(vocabulary.decode(ids)) == ids
    assert checkpoint.config.tts
    assert all(index < checkpoint.config.tts.num_text_tokens for index in ids)
    assert vocabulary.decode(vocabulary.encode("The wise farmer, 你好!")) == "the wise farmer, 你 好!"


def test_its_voices_differ(checkpoint: Checkpoint) -> None:
    contents = set()
    for content in checkpoint.sounds().values():
        with wave.open(BytesIO(content)) as file:
            assert (file.getframerate(), file.getnchannels()) == (Timing().input_rate, 1)
            assert 2 <= file.getnframes() / file.getframerate() <= 10
            contents.add(file.readframes(file.getnframes()))
    assert len(contents) == 4


def test_answers_are_sentences_that_end(loaded: tuple[Network, LlmTokenizer], answers: list[Decoding]) -> None:
    _, tokenizer = loaded
    for answer in answers:
        text = tokenizer.decode(answer.ids)
        assert answer.completed
        assert answer.ids[-2] == tokenizer.token_id(SPEECH_END)
        assert text[0].isupper()
        assert text.endswith(".")
        assert text.isprintable()
    lengths = sorted(len(answer.ids) for answer in answers)
    assert 5 <= lengths[0] < lengths[-1]
    assert lengths[len(lengths) // 2] <= 40


def test_speech_is_as_long_as_its_text_and_neither_faint_nor_clipped(
    loaded: tuple[Network, LlmTokenizer], answers: list[Decoding]
) -> None:
    network, _ = loaded
    assert network.synthesis
    speaker = answers[0].state
    assert speaker is not None
    spoken = []
    for text in ("The dog sees a boat.", "The dog sees a boat. " * 6):
        pcm = network.synthesis.speak(text, speaker[-4], by_chance(torch.Generator().manual_seed(1)))
        spoken.append(len(pcm) / Timing().output_rate)
        assert 0.05 < float((pcm**2).mean() ** 0.5) < 0.3
        assert float(abs(pcm).max()) < 1.0
    assert 0.2 < spoken[0] < 2.5
    assert 3.0 < spoken[1] < 8.0


def test_the_seed_decides(checkpoint: Checkpoint, tmp_path: Path) -> None:
    write_tiny(tmp_path / "same")
    write_tiny(tmp_path / "other", seed=1)
    for path in checkpoint.folder.rglob("*"):
        if path.is_file() and path.suffix != ".pt":
            name = path.relative_to(checkpoint.folder)
            assert path.read_bytes() == (tmp_path / "same" / name).read_bytes()
            differs = path.read_bytes() != (tmp_path / "other" / name).read_bytes()
            assert differs == (path.suffix == ".safetensors")


def test_the_command_line_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["make-tiny", str(tmp_path / "new" / "tiny")]) == 0
    said = capsys.readouterr().out
    assert f"try: {sys.executable} -m streaming serve --model {tmp_path / 'new' / 'tiny'}" in said
    assert Checkpoint(tmp_path / "new" / "tiny").report().ok


def test_what_it_needs_is_said_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "streaming.tiny.checkpoint", None)
    assert command_line.main(["make-tiny", str(tmp_path)]) == 1
    assert "pip install -c constraints.txt -e '.[minicpm-o]'" in capsys.readouterr().err


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    assert command_line.main(["make-tiny", str(tmp_path)]) == 2
    assert "is not empty; name a folder that is, or a new one" in capsys.readouterr().err
    assert command_line.main(["make-tiny", str(tmp_path / "diary.txt")]) == 2
    assert f"cannot write {tmp_path / 'diary.txt'}: File exists; name a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_what_cannot_be_written_whole_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("unexpected pos 64 vs 0")  # so says torch on a full disk

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"cannot write .* unexpected pos"):
        write_tiny(tmp_path / "tiny")
    assert list((tmp_path / "tiny").iterdir()) == []
