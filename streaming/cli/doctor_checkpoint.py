"""`omni doctor --model X`: what of a checkpoint is there, whether it is whole, what fits on the device.

Weights are judged by the headers of their files, so that sixteen gigabytes are examined in a second.
"""

import shutil
from collections.abc import Iterator
from math import prod
from pathlib import Path

import torch
from huggingface_hub import HfApi, constants

from omni.checkpoint import AGAIN, TALKER_VOCABULARY, Checkpoint, CheckpointError, absent, find, refusal
from omni.configs import DecoderConfig, MiniCpmOConfig
from omni.families.minicpm_o.family import LONGEST
from omni.families.minicpm_o.network import read_voices
from omni.shapes import minicpm_o, n_parameters, unread, vocoder
from omni.speech.vocoder import Vocoder
from omni.text.released import LlmTokenizer, TalkerVocabulary
from omni.text.template import Markers
from streaming.cli.doctor import Finding, memory_bytes
from streaming.config import Config
from streaming.gateway.models import device_of

_PARTS = {
    "language model": ("llm.",),
    "eyes": ("vpm.", "resampler."),
    "ears": ("apm.", "audio_projection_layer."),
    "talker and codec": ("tts.",),
}
_WORK_BYTES = 2**30
"""beside weights and sessions: what is computed on the way from pictures and sound to an answer"""
_FLOAT32_BYTES = 4
_TOO_MUCH_TO_READ = 2 * 2**30
"""for each token: more than a processor gets from its memory in the time of a spoken syllable, generously"""
_HUB_TIMEOUT_S = 10.0


def look(config: Config, *, verify: bool) -> Iterator[Finding]:
    """Look at the checkpoint that a configuration names. Nothing is downloaded.

    Args:
        config: its model is a folder, or a name on the hub.
        verify: compare checksums as well, which reads every byte.
    """
    device = None
    try:
        device = device_of(config.device)
        yield _device(device)
    except RuntimeError as error:
        yield Finding(False, str(error))
    try:
        checkpoint = find(config.model, revision=config.revision, offline=True)
    except CheckpointError:
        yield _not_here(config)
        return
    try:
        yield _network(checkpoint)
        yield from _weights(checkpoint)
        if verify or not config.folder:
            yield _checksums(checkpoint, verify)
    except CheckpointError as error:
        # an interrupted download is the likeliest reason, and goes on where it stopped
        resumes = "" if config.folder else "; `omni serve` without --offline fetches what is missing"
        yield Finding(False, f"{error}{resumes}")
        return
    for part in (_vocoder, _tokenizer, _talker_vocabulary, _voices):
        try:
            yield part(checkpoint)
        except (CheckpointError, ValueError) as error:
            yield Finding(False, str(error))
    if device is not None:
        yield from _memory(checkpoint.config, device, config.max_sessions)


def _not_here(config: Config) -> Finding:
    """What can be said of a model of the hub that is not, or not yet, on this machine."""
    cache = Path(constants.HF_HUB_CACHE)
    which = f"{config.model}, revision {config.revision}," if config.revision else config.model
    if config.offline:
        return Finding(False, absent(config.model, config.revision, None))
    try:
        info = HfApi().model_info(config.model, revision=config.revision, files_metadata=True, timeout=_HUB_TIMEOUT_S)
    except Exception as error:  # of the network or the hub: the person can do the same about each
        return Finding(False, absent(config.model, config.revision, refusal(error)))
    # as the hub sums config.json up
    if (info.config or {}).get("quantization_config"):
        return Finding(False, f"{which} has weights packed to a few bits (int4 or the like): not yet supported")
    files = [file for file in info.siblings or [] if file.rfilename.endswith(".safetensors")]
    nbytes = sum(file.size or 0 for file in files)
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    return Finding(
        bool(files) and nbytes < free,
        f"{which} is not on this machine yet; the model hub has {len(files)} files of weights, {_on_disk(nbytes)}, "
        f"and {_on_disk(free)} are free in {existing}; `omni serve` fetches them first, and then ask me again",
    )


def _device(device: str) -> Finding:
    if device == "cpu":
        why = "torch finds no GPU" if not torch.cuda.is_available() else "the GPU is left alone"
        return Finding(True, f"torch {torch.__version__} will compute on the processor: {why}")
    return Finding(True, f"torch {torch.__version__} will compute on {device}: {torch.cuda.get_device_name(device)}")


def _network(checkpoint: Checkpoint) -> Finding:
    config = checkpoint.config
    senses = {"hears": config.audio, "sees": config.vision, "speaks": config.tts}
    able = ", ".join(name for name, part in senses.items() if part is not None)
    if config.tts is None:
        return Finding(
            False, f"MiniCPM-o 2.6 in {checkpoint.folder} cannot speak (init_tts is false): not yet supported"
        )
    return Finding(True, f"MiniCPM-o 2.6 in {checkpoint.folder}: {able}")


def _weights(checkpoint: Checkpoint) -> Iterator[Finding]:
    report, shapes = checkpoint.report(), checkpoint.shapes
    n_files = len(set(checkpoint.files.values()))
    advice = "" if report.ok else f"; {AGAIN}"
    size = f"{len(shapes):,} tensors in {n_files} files, {_on_disk(checkpoint.nbytes)}"
    yield Finding(report.ok, f"weights: {size}: {report}{advice}")
    counts = [
        f"{name} {_count(n_parameters({key: shape for key, shape in shapes.items() if key.startswith(prefixes)}))}"
        for name, prefixes in _PARTS.items()
    ]
    yield Finding(True, f"parameters: {', '.join(counts)}")


def _checksums(checkpoint: Checkpoint, verify: bool) -> Finding:
    if not verify:
        return Finding(True, f"checksums: not compared; --verify does, and reads {_on_disk(checkpoint.nbytes)}")
    if not (n := checkpoint.verify()):
        return Finding(True, "checksums: nothing to compare with; only what the hub's cache holds carries them")
    return Finding(True, f"checksums: none of {n} files differs from what the model hub handed out")


def _vocoder(checkpoint: Checkpoint) -> Finding:
    sizes = checkpoint.config.vocos
    with torch.device("meta"):
        module = Vocoder(sizes)
    checkpoint.load_vocoder(module, device="cpu")
    return Finding(True, f"vocoder: complete, {_count(n_parameters(vocoder(sizes)))} parameters")


def _tokenizer(checkpoint: Checkpoint) -> Finding:
    tokenizer = LlmTokenizer.read(checkpoint.texts())
    Markers.of(tokenizer)
    return Finding(True, f"tokenizer: complete, {len(tokenizer.special_ids)} special tokens")


def _talker_vocabulary(checkpoint: Checkpoint) -> Finding:
    vocabulary = TalkerVocabulary.read(checkpoint.texts(TALKER_VOCABULARY))
    return Finding(True, f"the talker's vocabulary: complete, speech starts with token {vocabulary.start_id}")


def _voices(checkpoint: Checkpoint) -> Finding:
    names = ", ".join(name for name, _ in read_voices(checkpoint))
    return Finding(True, f"voices to imitate: {names or 'none; the model speaks as it likes'}")


def _memory(config: MiniCpmOConfig, device: str, max_sessions: int) -> Iterator[Finding]:
    """Whether weights and calls fit; a call is counted at its longest, though its caches begin small and grow."""
    type_bytes = getattr(torch, config.torch_dtype).itemsize
    table = minicpm_o(config)
    unused = unread(table, config)
    weights = sum(
        prod(shape) * (_FLOAT32_BYTES if name.startswith("tts.") else type_bytes)
        for name, shape in table.items()
        if name not in unused
    )
    weights += n_parameters(vocoder(config.vocos)) * _FLOAT32_BYTES
    token = _cache_bytes(config.llm, type_bytes)
    call = LONGEST * token
    if config.tts:
        call += config.tts.decoder.max_position_embeddings * _cache_bytes(config.tts.decoder, _FLOAT32_BYTES)
    if config.audio:
        ears = config.audio
        call += 2 * ears.encoder_layers * ears.d_model * ears.max_source_positions * type_bytes
    free = memory_bytes() if device == "cpu" else torch.cuda.mem_get_info(device)[0]
    n = max(0, (free - weights - _WORK_BYTES) // call)
    fits = f"all {max_sessions} calls of --max-sessions fit" if n >= max_sessions else f"{n} calls fit"
    yield Finding(
        n >= 1,
        f"memory: weights {_in_memory(weights)} ({config.torch_dtype}; talker and vocoder float32), "
        f"{_in_memory(_WORK_BYTES)} to work in, {_in_memory(call)} for a call at its longest "
        f"({LONGEST:,} tokens of {token:,} bytes); {fits} into {_in_memory(free)}",
    )
    language_model = {name: shape for name, shape in table.items() if name.startswith("llm.")}
    read = n_parameters(language_model) * type_bytes
    if device == "cpu" and read > _TOO_MUCH_TO_READ:
        advice = "each token of an answer reads nearly all of it; to talk with it, a GPU is needed"
        yield Finding(True, f"slow: the language model has {_in_memory(read)}, and {advice}")


def _cache_bytes(config: DecoderConfig, type_bytes: int) -> int:
    """Keys and values of one position."""
    return 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * type_bytes


def _count(n: int) -> str:
    return f"{n / 1e9:.2f} billion" if n >= 1e9 else f"{n / 1e6:.1f} million"


def _on_disk(nbytes: int) -> str:
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.1f} MB"


def _in_memory(nbytes: int) -> str:
    return f"{nbytes / 2**30:.1f} GiB" if nbytes >= 2**30 else f"{nbytes / 2**20:.1f} MiB"
