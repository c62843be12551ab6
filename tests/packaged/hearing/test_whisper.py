"""Models that know more languages than English, on a tiny one that always hears Chinese and always writes one word."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tokenizers

from omni.packaged.files import MissingModelError
from omni.packaged.hearing.recogniser import LANGUAGE_S, Recogniser
from omni.packaged.hearing.whisper import Tokens, Whisper
from omni.packaged.hearing.whisper_weights import Weights, read_weights
from omni.timing import Timing

RATE = Timing().input_rate
WIDTH, N_LAYERS = 64, 2
TEXT = {"Ġhello": 0, "你好": 1}
SPECIALS = {
    name: 50_257 + place
    for place, name in enumerate(
        (
            "<|endoftext|>",
            "<|startoftranscript|>",
            "<|en|>",
            "<|zh|>",
            "<|translate|>",
            "<|transcribe|>",
            "<|nocaptions|>",
            "<|notimestamps|>",
        )
    )
}


def tiny_weights(n_tokens: int, n_mels: int = 80) -> dict[str, np.ndarray]:
    """Random, but for the last norm: whatever is said, its output likes <|zh|> most, and of all words 你好."""
    random = np.random.default_rng(0)

    def weight(*shape: int) -> np.ndarray:
        return 0.05 * random.standard_normal(shape)

    weights = {
        "encoder/conv1/weight": weight(WIDTH, n_mels, 3),
        "encoder/conv2/weight": weight(WIDTH, WIDTH, 3),
        "encoder/position_encodings/encodings": weight(1500, WIDTH),
        "decoder/position_encodings/encodings": weight(448, WIDTH),
        "decoder/embeddings/weight": weight(n_tokens, WIDTH),
    }
    linear = {"self_attention/linear_0": (3, 1), "self_attention/linear_1": (1, 1)}
    linear |= {"ffn/linear_0": (4, 1), "ffn/linear_1": (1, 4)}
    across = {"attention/linear_0": (1, 1), "attention/linear_1": (2, 1), "attention/linear_2": (1, 1)}
    for part, sizes in (("encoder", linear), ("decoder", linear | across)):
        for layer in range(N_LAYERS):
            for name, (n_out, n_in) in sizes.items():
                weights[f"{part}/layer_{layer}/{name}/weight"] = weight(n_out * WIDTH, n_in * WIDTH)
                weights[f"{part}/layer_{layer}/{name}/bias"] = weight(n_out * WIDTH)
            for block in {name.split("/")[0] for name in sizes}:
                weights[f"{part}/layer_{layer}/{block}/layer_norm/gamma"] = np.ones(WIDTH)
                weights[f"{part}/layer_{layer}/{block}/layer_norm/beta"] = np.zeros(WIDTH)
        weights[f"{part}/layer_norm/gamma"] = np.ones(WIDTH)
        weights[f"{part}/layer_norm/beta"] = np.zeros(WIDTH)
    for name in ("encoder/conv1", "encoder/conv2"):
        weights[f"{name}/bias"] = np.zeros(WIDTH)
    liked = np.ones(WIDTH)
    weights["decoder/layer_norm/gamma"] = np.zeros(WIDTH)
    weights["decoder/layer_norm/beta"] = liked
    weights["decoder/embeddings/weight"][TEXT["你好"]] = 0.5 * liked
    if n_tokens > SPECIALS["<|zh|>"]:
        weights["decoder/embeddings/weight"][SPECIALS["<|zh|>"]] = liked
    return weights


def write_model(folder: Path, weights: Weights) -> Path:
    """A folder as CTranslate2 writes it, with 16-bit weights."""

    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    content = struct.pack("<I", 6) + string("WhisperSpec") + struct.pack("<II", 3, len(weights))
    for name, values in weights.items():
        data = values.astype(np.float16).tobytes()
        content += string(name) + struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        content += struct.pack("<BI", 4, len(data)) + data
    (folder / "model.bin").write_bytes(content + struct.pack("<I", 0))
    config = {"lang_ids": [SPECIALS["<|en|>"], SPECIALS["<|zh|>"]], "suppress_ids": [2], "suppress_ids_begin": []}
    (folder / "config.json").write_text(json.dumps(config))
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(TEXT | SPECIALS, unk_token="Ġhello"))
    words.add_special_tokens(list(SPECIALS))
    words.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> list[Tokens]:
    """All that decoders are given, call by call."""
    calls: list[Tokens] = []
    run = Whisper._run

    def watched(whisper: Whisper, tokens: list[int], *rest: object) -> object:
        calls.append(tuple(tokens))
        return run(whisper, tokens, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Whisper, "_run", watched)
    return calls


def ids(*names: str) -> Tokens:
    return tuple(SPECIALS[name] for name in names)


def noise(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(int(seconds * RATE))).astype(np.float32)


def test_the_language_is_heard_before_anything_is_written(tmp_path: Path, fed: list[Tokens]) -> None:
    recogniser = Recogniser(folder=write_model(tmp_path, tiny_weights(51_865)), cache=tmp_path)
    utterance = recogniser.open()
    utterance.add(noise(1))
    assert utterance.transcribe() == "你好"
    assert fed[0] == ids("<|startoftranscript|>")
    assert fed[1] == ids("<|startoftranscript|>", "<|zh|>", "<|transcribe|>", "<|notimestamps|>")


def test_a_language_that_is_settled_is_not_asked_for_again(tmp_path: Path, fed: list[Tokens]) -> None:
    utterance = Recogniser(folder=write_model(tmp_path, tiny_weights(51_865)), cache=tmp_path).open()
    for _ in range(5):
        utterance.add(noise(1))
        utterance.transcribe()
    assert fed.count(ids("<|startoftranscript|>")) == LANGUAGE_S


def test_a_model_of_english_has_no_language(tmp_path: Path, fed: list[Tokens]) -> None:
    recogniser = Recogniser(folder=write_model(tmp_path, tiny_weights(51_864)), cache=tmp_path)
    recogniser.open().transcribe()
    heard = recogniser.encode(noise(1))
    assert recogniser.language(heard) is None
    recogniser.decode(heard, (), (), 3)
    assert fed[0] == ids("<|startoftranscript|>", "<|notimestamps|>")


def test_the_second_start_reads_what_the_first_one_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path, tiny_weights(51_864))
    first = Recogniser(folder=folder, cache=tmp_path).encode(noise(1))

    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr("omni.packaged.hearing.whisper.read_weights", refuse)
    second = Recogniser(folder=folder, cache=tmp_path).encode(noise(1))
    np.testing.assert_array_equal(first, second)


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    weights = tiny_weights(200)
    read = read_weights(write_model(tmp_path, weights) / "model.bin")
    assert read.keys() == weights.keys()
    for name, values in weights.items():
        np.testing.assert_array_equal(read[name], values.astype(np.float16))


def test_a_size_that_hears_other_bands_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match="128 mel bands"):
        Recogniser(folder=write_model(tmp_path, tiny_weights(200, n_mels=128)), cache=tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (write_model(tmp_path, {}) / "model.bin").write_bytes(b"no model at all")
    with pytest.raises(MissingModelError, match="no Whisper"):
        Recogniser(folder=tmp_path, cache=tmp_path)
