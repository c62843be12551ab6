"""Weights of the tiny checkpoint: random, but for a few channels that make its answers end.

Purely random weights write for ever, or one word, and their speech has nothing to do with their text. So in both
decoders some channels of the residual stream are set apart: no layer writes there, each token's embedding says which
kind of token comes next, and the head reads it. Which of them it will be is left to the random rest, which attention
makes depend on everything seen and heard. In the talker one head of attention looks for [Etts]: as soon as the text
is all there, and never before, the end of the speech becomes possible.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from omni.configs import MiniCpmOConfig, TtsConfig, VocosConfig
from omni.shapes import Shapes, minicpm_o, vocoder
from streaming.tiny import words
from streaming.tiny.words import FOLLOWERS, KINDS

Tensors = dict[str, Tensor]

_ALWAYS = 0
"""channel that is the same at every token"""

_FLAG = 6.0
"""value of a set channel; the random ones are about 1 each"""
_RULE = 3.5
"""weight with which the head reads a flag: other kinds than those that may follow are all but excluded"""
_WHIM = 0.04
"""spread of the head's random weights, which choose among the tokens of a kind"""
_ALONE = 0.5
"""more weight for a token that is alone of its kind: the full stop, and the end, beside several words that go on"""
_FOCUS = 3.0
"""weight in attention that lets one place stand out among hundreds"""

_TEXT_END, _COMPLETE = 1, 2
"""the talker's other channels: this is [Etts]; the text is all there"""
_N_TALKER_CHANNELS = 3
_ENDING_BOOK = 1
"""the codebook that may end the speech: one of the two with the higher temperature"""
_MAY_END = 0.7
"""score of the end of speech once the text is all there, beside other codes of about 0 ± 0.3"""
_LOUDNESS = 8.0
"""of a bin of the vocoder's spectrum, before its random share"""


def network(config: MiniCpmOConfig, seed: int) -> Tensors:
    """Every tensor of the table by its name."""
    tensors = dict(_random(minicpm_o(config), seed))
    width = config.llm.hidden_size
    _set_apart(tensors, "llm.model.", config.llm.num_hidden_layers, 1 + len(KINDS))
    _plant_grammar(tensors, width)
    # Attention that looks at something in particular: an even look at everything would hide what differs.
    for layer in range(config.llm.num_hidden_layers):
        tensors[f"llm.model.layers.{layer}.self_attn.k_proj.weight"] *= _FOCUS
    if config.tts is not None:
        _set_apart(tensors, "tts.model.", config.tts.num_hidden_layers, _N_TALKER_CHANNELS)
        _plant_end_of_speech(tensors, config.tts)
    return tensors


def vocos(config: VocosConfig, seed: int) -> Tensors:
    """The vocoder's state dict: hiss whose colour and loudness follow the codes, neither faint nor clipped."""
    tensors = dict(_random(vocoder(config), seed))
    bins = config.n_fft // 2 + 1
    window = torch.hann_window(config.n_fft)
    tensors["feature_extractor.mel_spec.spectrogram.window"] = window
    tensors["head.istft.window"] = window.clone()
    tilt = torch.linspace(0.0, 5.0, bins)
    tensors["head.out.bias"] = torch.cat([math.log(_LOUDNESS) - tilt, tensors["head.out.bias"][bins:]])
    weight = tensors["head.out.weight"]
    weight[:bins] = 0.5 * weight[:bins] + 0.4 * weight[0]
    return tensors


def _random(shapes: Shapes, seed: int) -> Iterator[tuple[str, Tensor]]:
    """Matrices that keep the size of what goes through them, norms that do nothing, small biases."""
    generator = torch.Generator().manual_seed(seed)
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        kind = name.rpartition(".")[2]
        if kind == "bias":
            yield name, 0.02 * noise
        elif kind == "gamma" or (kind == "coef" and len(shape) == 1):
            yield name, torch.full(shape, 0.5)
        elif len(shape) == 1 or kind == "coef":
            yield name, torch.ones(shape)
        else:
            yield name, noise / math.sqrt(math.prod(shape[1:]))


def _set_apart(tensors: Tensors, prefix: str, n_layers: int, n_channels: int) -> None:
    """No layer writes into the first channels of the residual stream; the others get more from every layer."""
    for layer in range(n_layers):
        for name in ("self_attn.o_proj.weight", "mlp.down_proj.weight"):
            weight = tensors[f"{prefix}layers.{layer}.{name}"]
            weight *= 2.0
            weight[:n_channels] = 0.0


def _plant_grammar(tensors: Tensors, width: int) -> None:
    """Each token says what may follow, and the head heeds it."""
    channels = {kind: 1 + index for index, kind in enumerate(KINDS)}
    embeddings, head = tensors["llm.model.embed_tokens.weight"], tensors["llm.lm_head.weight"]
    embeddings *= 0.3 * math.sqrt(width)
    embeddings[:, : 1 + len(KINDS)] = 0.0
    embeddings[:, _ALWAYS] = _FLAG
    head *= _WHIM * math.sqrt(width)
    head[:, : 1 + len(KINDS)] = 0.0
    head[:, _ALWAYS] = -_RULE / 2
    kinds = words.kinds()
    for token in range(len(embeddings)):
        for follower in FOLLOWERS.get(kinds.get(token, ""), ("first",)):
            embeddings[token, channels[follower]] = _FLAG
    for token, kind in kinds.items():
        head[token, channels[kind]] = _RULE
        if len(KINDS[kind]) == 1:
            head[token, 1 + len(KINDS) :] = 0.0
            head[token, channels[kind]] += _ALONE


def _plant_end_of_speech(tensors: Tensors, tts: TtsConfig) -> None:
    """One head of the talker's last layer looks for [Etts], and only what it finds lets the speech end."""
    for name in ("linear2.weight", "linear2.bias"):
        tensors[f"tts.projector.{name}"][:_N_TALKER_CHANNELS] = 0.0
    text = tensors["tts.emb_text.weight"]
    text *= math.sqrt(tts.hidden_size)
    text[:, :_N_TALKER_CHANNELS] = 0.0
    # So large that the norm before attention makes the same of it whatever stands beside it.
    text[tts.text_eos_token_id, _TEXT_END] = 10 * _FLAG
    text[tts.audio_bos_token_id, _ALWAYS] = _FLAG
    attention = f"tts.model.layers.{tts.num_hidden_layers - 1}.self_attn."
    head_dim = tts.decoder.head_dim
    slowest = head_dim // 2 - 1  # the pair of channels that positions turn least
    for name, row, channel in (("q_proj", slowest, _ALWAYS), ("k_proj", slowest, _TEXT_END), ("v_proj", 0, _TEXT_END)):
        weight = tensors[f"{attention}{name}.weight"]
        weight[:head_dim] = 0.0
        weight[row, channel] = _FOCUS
    # What the head finds becomes as large as the other flag: the two then cancel in the score of the end.
    tensors[f"{attention}o_proj.weight"][_COMPLETE, 0] = _FLAG / (_FOCUS * math.sqrt(tts.hidden_size))
    for book in range(tts.num_vq):
        frames = tensors[f"tts.emb_code.{book}.weight"]
        frames *= math.sqrt(tts.hidden_size / tts.num_vq)
        frames[:, :_N_TALKER_CHANNELS] = 0.0
        frames[:, _ALWAYS] = _FLAG / tts.num_vq
        scores = tensors[f"tts.head_code.{book}.parametrizations.weight.original1"]
        # So even that chance decides, and not only which code is the likeliest.
        scores *= 0.3
        scores[:, :_N_TALKER_CHANNELS] = 0.0
        scores[tts.eos_token_id] = 0.0
        scores[tts.eos_token_id, _ALWAYS] = -_RULE
        if book == _ENDING_BOOK:
            scores[tts.eos_token_id, _COMPLETE] = _RULE + _MAY_END
        tensors[f"tts.head_code.{book}.parametrizations.weight.original0"] = scores.norm(dim=1, keepdim=True)
