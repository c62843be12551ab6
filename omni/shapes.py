"""The one table of released names: every tensor that a checkpoint holds, with its shape, from its configuration.

Loading is strict by this table, a tiny checkpoint is written from it, and memory is counted with it: none of them
needs the network built, nor torch.
"""

from collections.abc import Mapping
from math import prod

from omni.configs import (
    AudioConfig,
    DecoderConfig,
    DvaeConfig,
    MiniCpmOConfig,
    ResamplerConfig,
    TtsConfig,
    VisionConfig,
    VocosConfig,
)

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

UNUSED_VOCABULARY = 32_000
"""rows of the talker's second embedding table, a default that the released code never overrode"""


def minicpm_o(config: MiniCpmOConfig) -> dict[str, Shape]:
    """All tensors of a MiniCPM-o 2.6 checkpoint; the vocoder has a file of its own (see `vocoder`)."""
    shapes = dict(_under("llm", language_model(config.llm)))
    if config.vision and config.resampler:
        shapes.update(_under("vpm", _vision(config.vision)))
        shapes.update(_under("resampler", _resampler(config.resampler)))
    if config.audio:
        shapes.update(_under("apm", _audio(config.audio)))
        shapes.update(_under("audio_projection_layer", _mlp(config.audio.projection_dim, config.audio.output_dim)))
    if config.tts:
        shapes.update(_under("tts", _talker(config.tts)))
    return shapes


def unread(names: Shapes, config: MiniCpmOConfig) -> frozenset[str]:
    """Those of the names that no part has a place for: the checkpoint may have them or not."""
    starts = ["tts.model.embed_tokens."]
    if config.vision is None:
        starts += ["vpm.", "resampler."]
    elif config.vision.drop_vision_last_layer:
        starts += [f"vpm.encoder.layers.{config.vision.n_layers}."]
    if config.audio is None:
        starts += ["apm.", "audio_projection_layer."]
    if config.tts is None:
        starts += ["tts."]
    return frozenset(name for name in names if name.startswith(tuple(starts)))


def language_model(config: DecoderConfig) -> dict[str, Shape]:
    """A decoder below its embedding table and head."""
    shapes = dict(_under("model", _decoder(config)))
    if config.vocab_size is not None:
        shapes["model.embed_tokens.weight"] = (config.vocab_size, config.hidden_size)
        if not config.tie_word_embeddings:
            shapes["lm_head.weight"] = (config.vocab_size, config.hidden_size)
    return shapes


def vocoder(config: VocosConfig) -> dict[str, Shape]:
    """All tensors of assets/Vocos.pt."""
    bins = config.n_fft // 2 + 1
    shapes: dict[str, Shape] = {
        "feature_extractor.mel_spec.spectrogram.window": (config.n_fft,),
        "feature_extractor.mel_spec.mel_scale.fb": (bins, config.input_channels),
        "head.istft.window": (config.n_fft,),
    }
    backbone = {
        **_convolution("embed", config.dim, config.input_channels, 7),
        **_norm("norm", config.dim),
        **_norm("final_layer_norm", config.dim),
    }
    block = _convnext("gamma", config.dim, config.intermediate_dim, kernel=7)
    backbone.update(_repeated("convnext", config.num_layers, block))
    shapes.update(_under("backbone", backbone))
    shapes.update(_linear("head.out", 2 * bins, config.dim))
    return shapes


def n_parameters(shapes: Shapes) -> int:
    """Numbers in all tensors together."""
    return sum(prod(shape) for shape in shapes.values())


def _decoder(config: DecoderConfig) -> dict[str, Shape]:
    width, inner, head = config.hidden_size, config.intermediate_size, config.head_dim
    queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    layer = {
        **_linear("self_attn.q_proj", queries, width, bias=config.qkv_bias),
        **_linear("self_attn.k_proj", keys, width, bias=config.qkv_bias),
        **_linear("self_attn.v_proj", keys, width, bias=config.qkv_bias),
        **_linear("self_attn.o_proj", width, queries, bias=False),
        **_linear("mlp.gate_proj", inner, width, bias=False),
        **_linear("mlp.up_proj", inner, width, bias=False),
        **_linear("mlp.down_proj", width, inner, bias=False),
        "input_layernorm.weight": (width,),
        "post_attention_layernorm.weight": (width,),
    }
    if config.qk_norm:
        layer |= {"self_attn.q_norm.weight": (head,), "self_attn.k_norm.weight": (head,)}
    return {**_repeated("layers", config.num_hidden_layers, layer), "norm.weight": (width,)}


def _vision(config: VisionConfig) -> dict[str, Shape]:
    width = config.hidden_size
    layer = {
        **_attention("self_attn", width),
        **_norm("layer_norm1", width),
        **_norm("layer_norm2", width),
        **_linear("mlp.fc1", config.intermediate_size, width),
        **_linear("mlp.fc2", width, config.intermediate_size),
    }
    patch = (width, config.num_channels, config.patch_size, config.patch_size)
    return {
        "embeddings.patch_embedding.weight": patch,
        "embeddings.patch_embedding.bias": (width,),
        "embeddings.position_embedding.weight": (config.positions_per_side**2, width),
        **_repeated("encoder.layers", config.n_layers, layer),
        **_norm("post_layernorm", width),
    }


def _resampler(config: ResamplerConfig) -> dict[str, Shape]:
    width = config.embed_dim
    return {
        "query": (config.num_queries, width),
        "proj": (width, width),
        **_linear("kv_proj", width, config.kv_dim, bias=False),
        "attn.in_proj_weight": (3 * width, width),
        "attn.in_proj_bias": (3 * width,),
        **_linear("attn.out_proj", width, width),
        **_norm("ln_q", width),
        **_norm("ln_kv", width),
        **_norm("ln_post", width),
    }


def _audio(config: AudioConfig) -> dict[str, Shape]:
    width, inner = config.d_model, config.encoder_ffn_dim
    layer = {
        **_attention("self_attn", width),
        **_norm("self_attn_layer_norm", width),
        **_norm("final_layer_norm", width),
        **_linear("fc1", inner, width),
        **_linear("fc2", width, inner),
    }
    # Whisper's keys have no bias: it would shift every score of a query alike.
    del layer["self_attn.k_proj.bias"]
    return {
        **_convolution("conv1", width, config.num_mel_bins, 3),
        **_convolution("conv2", width, width, 3),
        "embed_positions.weight": (config.max_source_positions, width),
        **_repeated("layers", config.encoder_layers, layer),
        **_norm("layer_norm", width),
    }


def _talker(config: TtsConfig) -> dict[str, Shape]:
    width, codes = config.hidden_size, config.num_audio_tokens
    shapes: dict[str, Shape] = {
        **_under("projector", _mlp(config.llm_dim, width)),
        "emb_text.weight": (config.num_text_tokens, width),
        "model.embed_tokens.weight": (UNUSED_VOCABULARY, width),
        **_under("model", _decoder(config.decoder)),
        **_under("dvae", _codec(config.dvae)),
    }
    for book in range(config.num_vq):
        shapes[f"emb_code.{book}.weight"] = (codes, width)
        shapes[f"head_code.{book}.parametrizations.weight.original0"] = (codes, 1)
        shapes[f"head_code.{book}.parametrizations.weight.original1"] = (codes, width)
    return shapes


def _codec(config: DvaeConfig) -> dict[str, Shape]:
    feature, digits = config.feature_dim, len(config.levels)
    shapes: dict[str, Shape] = {
        "coef": (1, config.num_mel_bins, 1),
        **_convolution("downsample_conv.0", feature, config.num_mel_bins, 3),
        **_convolution("downsample_conv.2", feature, feature, 4),
        "out_conv.weight": (config.num_mel_bins, feature, 3),
    }
    for name, outputs in (("encoder", config.groups * feature), ("decoder", feature)):
        half = {
            **_convolution("conv_in.0", config.bn_dim, feature, 3),
            **_convolution("conv_in.2", config.hidden, config.bn_dim, 3),
            "conv_out.weight": (outputs, config.hidden, 1),
        }
        block = _convnext("coef", config.hidden, config.intermediate, config.kernel)
        half.update(_repeated("decoder_block", config.num_layers, block))
        shapes.update(_under(name, half))
    for group in range(config.groups):
        shapes.update(_linear(f"vq_layer.quantizer.rvqs.{group}.project_in", digits, feature))
        shapes.update(_linear(f"vq_layer.quantizer.rvqs.{group}.project_out", feature, digits))
    return shapes


def _attention(name: str, width: int) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        shapes.update(_linear(f"{name}.{part}", width, width))
    return shapes


def _mlp(inputs: int, outputs: int) -> dict[str, Shape]:
    return {**_linear("linear1", outputs, inputs), **_linear("linear2", outputs, outputs)}


def _convnext(scale: str, width: int, inner: int, kernel: int) -> dict[str, Shape]:
    return {
        scale: (width,),
        **_convolution("dwconv", width, 1, kernel),
        **_norm("norm", width),
        **_linear("pwconv1", inner, width),
        **_linear("pwconv2", width, inner),
    }


def _linear(name: str, outputs: int, inputs: int, *, bias: bool = True) -> dict[str, Shape]:
    weight: dict[str, Shape] = {f"{name}.weight": (outputs, inputs)}
    return {**weight, f"{name}.bias": (outputs,)} if bias else weight


def _convolution(name: str, outputs: int, inputs: int, kernel: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs, kernel), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _under(prefix: str, shapes: Shapes) -> dict[str, Shape]:
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def _repeated(name: str, count: int, layer: Shapes) -> dict[str, Shape]:
    return {f"{name}.{index}.{key}": shape for index in range(count) for key, shape in layer.items()}
