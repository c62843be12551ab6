"""A checkpoint's dimensions, read from its config.json once, checked and frozen.

Fields carry the names of the file, so that a message about a field can be acted on. Fields with a default may be
absent from the file: the default is what the released code then assumes. Unknown keys are ignored, since the file
also configures training.
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, Self, TypeVar

ConfigT = TypeVar("ConfigT")
Json = Mapping[str, Any]


class ConfigError(ValueError):
    """A configuration lacks something or contradicts itself. The message names the file's field."""


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """A causal decoder: the language model, or the talker's backbone."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    max_position_embeddings: int
    vocab_size: int | None = None
    """None: no embedding table of its own"""
    qkv_bias: bool = False
    qk_norm: bool = False
    tie_word_embeddings: bool = False

    def __post_init__(self) -> None:
        if self.num_key_value_heads < 1 or self.num_attention_heads % self.num_key_value_heads:
            raise ConfigError(
                f"num_attention_heads ({self.num_attention_heads}) must be a multiple of "
                f"num_key_value_heads ({self.num_key_value_heads})"
            )
        if self.head_dim % 2:
            raise ConfigError(f"rotary positions need an even head width, and it is {self.head_dim}")

    @classmethod
    def from_json(cls, source: Json, *, architecture: Literal["qwen2", "qwen3", "llama"]) -> Self:
        """The language model's part of a config.json, whose fields lie at its top level.

        Raises:
            ConfigError: a field is missing or wrong, or asks for what is not implemented.
        """
        if source.get("use_sliding_window"):
            raise ConfigError("use_sliding_window is true: attention over a sliding window is not implemented")
        if source.get("hidden_act", "silu") != "silu":
            raise ConfigError(f"hidden_act is {source['hidden_act']!r}, and the decoder knows silu alone")
        # transformers 5 moved the rotary settings into a mapping of their own.
        rope = _optional(source, "rope_parameters")
        scaling = _optional(source, "rope_scaling") or rope
        if scaling.get("rope_type", scaling.get("type", "default")) != "default":
            raise ConfigError("rope_scaling is set: scaled rotary positions are not implemented")
        heads = _required(source, "num_attention_heads")
        derived = {
            "rope_theta": rope.get("rope_theta", 10_000.0),
            "num_key_value_heads": heads,
            "head_dim": _required(source, "hidden_size") // heads,
            "rms_norm_eps": 1e-6,
        }
        traits = {"qkv_bias": architecture == "qwen2", "qk_norm": architecture == "qwen3"}
        return _read(cls, {**derived, **{key: value for key, value in source.items() if value is not None}, **traits})


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """SigLIP with images of any shape (`vision_config`)."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    image_size: int
    """side in pixels of the square whose patches the position table numbers"""
    patch_size: int
    num_channels: int = 3
    layer_norm_eps: float = 1e-6
    drop_vision_last_layer: bool = False
    """read from the top level of config.json"""
    vision_batch_size: int = 16
    """slices per forward, read from the top level of config.json"""

    @property
    def positions_per_side(self) -> int:
        """Rows, and columns, of the position table."""
        return self.image_size // self.patch_size

    @property
    def n_layers(self) -> int:
        """Layers that run."""
        return self.num_hidden_layers - self.drop_vision_last_layer


@dataclass(frozen=True, slots=True)
class ResamplerConfig:
    """Cross-attention from learned queries to the patches of a slice."""

    num_queries: int
    embed_dim: int
    """width of the language model"""
    num_heads: int
    kv_dim: int
    """width of the vision encoder"""


@dataclass(frozen=True, slots=True)
class SliceConfig:
    """How an image is cut and normalised (`slice_config`; preprocessor_config.json has the same names)."""

    max_slice_nums: int = 1
    scale_resolution: int = 448
    patch_size: int = 14
    norm_mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    norm_std: tuple[float, ...] = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """The Whisper encoder (`audio_config`), its projection and its pooling."""

    d_model: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    output_dim: int
    """width of the language model"""
    num_mel_bins: int = 80
    max_source_positions: int = 1500
    audio_pool_step: int = 2
    audio_chunk_length: float = 1.0
    """seconds that an offline frame may look around in; 0 or less: everywhere"""
    layer_norm_eps: float = 1e-5

    @property
    def projection_dim(self) -> int:
        """Width that the projection takes: derived this way in the released code, and equal to d_model."""
        return self.encoder_ffn_dim // 4


@dataclass(frozen=True, slots=True)
class DvaeConfig:
    """The codec: codes to mel. No file names these sizes; the defaults are the released ones."""

    feature_dim: int = 512
    hidden: int = 256
    bn_dim: int = 128
    num_layers: int = 12
    levels: tuple[int, ...] = (5, 5, 5, 5)
    groups: int = 2
    residual: int = 2
    kernel: int = 7
    dilation: int = 2
    num_mel_bins: int = 100

    @property
    def intermediate(self) -> int:
        """Width inside a ConvNeXt block."""
        return 4 * self.hidden


@dataclass(frozen=True, slots=True)
class VocosConfig:
    """The vocoder: mel to waveform. No file names these sizes; the defaults are the released ones."""

    input_channels: int = 100
    dim: int = 512
    intermediate_dim: int = 1536
    num_layers: int = 8
    n_fft: int = 1024
    hop_length: int = 256


@dataclass(frozen=True, slots=True)
class TtsConfig:
    """The talker (`tts_config`). The released file names two fields; the rest are the class's defaults."""

    llm_dim: int = 2560
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_attention_heads: int = 12
    num_hidden_layers: int = 20
    max_position_embeddings: int = 4096
    num_audio_tokens: int = 626
    """codes of one codebook; the last one ends the speech"""
    num_text_tokens: int = 21178
    num_mel_bins: int = 100
    num_vq: int = 4
    spk_emb_token_id: int = 21143
    num_spk_embs: int = 1
    use_speaker_embedding: bool = True
    audio_bos_token_id: int = 21132
    text_eos_token_id: int = 21133
    streaming_text_chunk_size: int = 10
    """text tokens prefilled at a time, and shown to one more `streaming_audio_chunk_size` frames"""
    streaming_text_reserved_len: int = 300
    """slots that the text has"""
    streaming_audio_chunk_size: int = 50
    use_mlp: bool = True
    top_p: float = 0.7
    top_k: int = 20
    repetition_penalty: float = 1.0
    dvae: DvaeConfig = field(default_factory=DvaeConfig)

    @property
    def eos_token_id(self) -> int:
        """The code that ends the speech."""
        return self.num_audio_tokens - 1

    @property
    def decoder(self) -> DecoderConfig:
        """The backbone: Llama with its class's defaults where `tts_config` says nothing."""
        return DecoderConfig(
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            num_key_value_heads=self.num_attention_heads,
            head_dim=self.hidden_size // self.num_attention_heads,
            rms_norm_eps=1e-6,
            rope_theta=10_000.0,
            max_position_embeddings=self.max_position_embeddings,
        )

    @classmethod
    def from_json(cls, source: Json, dvae_sizes: Json | None = None) -> Self:
        """The talker's part of a config.json.

        Args:
            source: `tts_config`.
            dvae_sizes: the codec's sizes where they are not the released ones.

        Raises:
            ConfigError: a field is wrong, or asks for what is not implemented.
        """
        config = _read(cls, {**source, "dvae": read_dvae(source, dvae_sizes or {})}, "tts_config")
        if not (config.use_mlp and config.use_speaker_embedding and config.num_spk_embs == 1):
            raise ConfigError("tts_config asks for a talker without one projected speaker vector: not implemented")
        return config


@dataclass(frozen=True, slots=True)
class MiniCpmOConfig:
    """MiniCPM-o 2.6, whole. A part that config.json switches off (`init_audio` and the like) is None."""

    llm: DecoderConfig
    vision: VisionConfig | None
    resampler: ResamplerConfig | None
    audio: AudioConfig | None
    tts: TtsConfig | None
    slices: SliceConfig
    vocos: VocosConfig = field(default_factory=VocosConfig)
    use_image_id: bool = True
    chunk_input: bool = True
    """audio features fill the placeholders one after another, wherever clips end"""
    torch_dtype: str = "bfloat16"
    """what the weights are meant to be computed in: bfloat16, float16 or float32"""

    @classmethod
    def from_json(cls, source: Json) -> Self:
        """Read a parsed config.json; `dvae_sizes` and `vocos_sizes` may stand beside the released fields.

        Raises:
            ConfigError: another model, a missing or wrong field, or something that is not implemented.
        """
        if source.get("model_type") != "minicpmo" or str(source.get("version", "2.6")) != "2.6":
            described = filter(None, (source.get("model_type"), source.get("version")))
            raise ConfigError(
                f"config.json describes {' '.join(map(str, described)) or 'no model'}; this reads MiniCPM-o 2.6 alone "
                "(model_type minicpmo, version 2.6): choose another model, such as openbmb/MiniCPM-o-2_6"
            )
        llm = DecoderConfig.from_json(source, architecture="qwen2")
        if llm.vocab_size is None:
            raise ConfigError("config.json lacks vocab_size")
        vision = read_vision(source) if source.get("init_vision", True) else None
        tts = _optional(source, "tts_config")
        # transformers 5 renamed the field
        dtype = source.get("torch_dtype") or source.get("dtype") or "bfloat16"
        if dtype not in ("bfloat16", "float16", "float32"):
            raise ConfigError(f"torch_dtype is {dtype!r}; bfloat16, float16 and float32 are known")
        return cls(
            llm=llm,
            vision=vision,
            resampler=read_resampler(source, vision) if vision else None,
            audio=read_audio(source) if source.get("init_audio", True) else None,
            tts=TtsConfig.from_json(tts, _optional(source, "dvae_sizes")) if source.get("init_tts", True) else None,
            slices=_read(SliceConfig, _optional(source, "slice_config"), "slice_config"),
            vocos=read_vocos(_optional(source, "vocos_sizes")),
            use_image_id=source.get("use_image_id", True),
            chunk_input=source.get("chunk_input", True),
            torch_dtype=dtype,
        )


def read_vision(source: Json) -> VisionConfig:
    """The vision encoder of a config.json whose `vision_config` is present."""
    vision = {**_section(source, "vision_config"), **_present(source, "drop_vision_last_layer", "vision_batch_size")}
    if vision.get("hidden_act", "gelu_pytorch_tanh") != "gelu_pytorch_tanh":
        raise ConfigError(f"vision_config.hidden_act is {vision['hidden_act']!r}; only gelu_pytorch_tanh is known")
    # The released class drops a layer by default; files that matter say so themselves.
    return _read(VisionConfig, {"drop_vision_last_layer": True, **vision}, "vision_config")


def read_resampler(source: Json, vision: VisionConfig) -> ResamplerConfig:
    """The resampler between a vision encoder and the language model: one head for every 128 of its width."""
    width = _required(source, "hidden_size")
    if width % 128:
        raise ConfigError(f"hidden_size is {width}; the resampler needs a multiple of 128")
    return ResamplerConfig(source.get("query_num", 64), width, width // 128, vision.hidden_size)


def read_audio(source: Json) -> AudioConfig:
    """The audio encoder of a config.json whose `audio_config` is present."""
    audio = {
        **_section(source, "audio_config"),
        **_present(source, "audio_pool_step", "audio_chunk_length"),
        "output_dim": _required(source, "hidden_size"),
    }
    if audio.get("activation_function", "gelu") != "gelu" or audio.get("scale_embedding"):
        raise ConfigError("audio_config asks for another activation than gelu, or for scaled embeddings: not known")
    return _read(AudioConfig, audio, "audio_config")


def read_dvae(tts: Json, sizes: Json) -> DvaeConfig:
    """The codec of a `tts_config`; `sizes` where they are not the released ones."""
    return _read(DvaeConfig, {**_present(tts, "num_mel_bins"), **sizes}, "dvae_sizes")


def read_vocos(sizes: Json) -> VocosConfig:
    """The vocoder; `sizes` where they are not the released ones."""
    if sizes.get("padding", "same") != "same":
        raise ConfigError("vocos_sizes.padding must be 'same'")
    return _read(VocosConfig, sizes, "vocos_sizes")


def _section(source: Json, name: str) -> Json:
    section = source.get(name)
    if not isinstance(section, Mapping):
        raise ConfigError(f"config.json lacks {name}, or it is no object")
    return section


def _optional(source: Json, name: str) -> Json:
    return _section(source, name) if source.get(name) else {}


def _present(source: Json, *names: str) -> Json:
    return {name: source[name] for name in names if name in source}


def _required(source: Json, name: str) -> int:
    value = source.get(name)
    if type(value) is not int or value < 1:
        raise ConfigError(f"config.json lacks {name}, or it is no integer above 0")
    return value


def _read(kind: type[ConfigT], source: Json, section: str = "config.json") -> ConfigT:
    """Fill a dataclass from the keys of its fields' names, checking each value's type."""
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for spec in fields(kind):  # type: ignore[arg-type]
        if spec.name in source:
            values[spec.name] = _checked(source[spec.name], hints[spec.name], f"{section}: {spec.name}")
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise ConfigError(f"{section} lacks {spec.name}")
    return kind(**values)


def _checked(value: Any, hint: Any, where: str) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (typing.get_origin(hint) or hint,)
    if tuple in kinds and isinstance(value, list):
        return tuple(value)
    if float in kinds and type(value) is int:
        return float(value)
    # A bool is an int to isinstance, and a size of True would go far before it failed.
    if type(value) not in kinds:
        raise ConfigError(f"{where} is {value!r}, which is no {' or '.join(kind.__name__ for kind in kinds)}")
    return value
