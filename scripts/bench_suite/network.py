"""The MiniCPM-o network part by part, then a conversation with it, each beside what the device could do at best."""

import resource
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from omni.checkpoint import Checkpoint, find
from omni.families.minicpm_o.family import MiniCpmO
from omni.families.minicpm_o.network import Network, load_network
from omni.nn.sampling import Draw, TextSampling, by_chance
from omni.speech.codec import FRAMES_PER_STEP
from omni.speech.streaming import Synthesis
from omni.speech.talker import FRAMES_PER_CALL, TalkerState
from omni.text.decoding import Decoding, decode
from omni.timing import Timing
from scripts.bench_suite.bounds import Bounds, Stopwatch, measure_bounds, step_bytes, weight_bytes
from scripts.bench_suite.network_turns import REFERENCE_S, listening, opening, sound, turns
from scripts.bench_suite.random_weights import RandomCheckpoint, require_room
from scripts.bench_suite.report import Findings, Row
from streaming.gateway.models import device_of
from streaming.tiny.checkpoint import write_tiny


@dataclass(frozen=True, slots=True)
class Aims:
    """What is hoped for."""

    first_audio_ms: float | None
    unit_ms: float | None
    """of a unit with a picture"""
    writing: float | None
    """percent of the tokens per second that memory bandwidth allows"""


AIMS = Aims(first_audio_ms=250, unit_ms=60, writing=80)
RELEASED_SIZE = 7_000_000_000
"""parameters of a language model that the aims are for: the released one has 7.6 billion"""
BURST = 3
"""tokens that the family writes at a time"""
CONTEXT = 1_000
"""tokens that each session remembers: half a minute of call with pictures is about 2,800, of voice alone 900"""
BATCHES = (1, 2, 4, 8)
_TEXT = 10
"""tokens that the talker reads before it speaks"""
_FADED = 4
"""frames that every piece of sound decodes again"""


def run(model: str | None, device: str, *, full_size: bool) -> Findings:
    """Measure the checkpoint of this name; without a name one of random numbers, tiny or of the released size."""
    on = torch.device(device_of(device))
    if model is not None:
        return measure(find(model), on)
    if full_size:
        require_room(on)
    with TemporaryDirectory() as folder:
        write_tiny(Path(folder))
        return measure(RandomCheckpoint(Path(folder)) if full_size else Checkpoint(Path(folder)), on)


def measure(
    checkpoint: Checkpoint, device: torch.device, *, n: int = 20, n_turns: int = 5, enough_s: float = 5.0
) -> Findings:
    """Everything about one checkpoint on one device.

    Args:
        checkpoint: found, not read yet.
        device: where it runs.
        n: repetitions of what is measured alone.
        n_turns: of the conversation.
        enough_s: of sound for each turn.
    """
    watch = Stopwatch(device)
    (model, network), load_s = watch.run(lambda: loaded(checkpoint, device))
    aims = aims_for(device, sum(weight.numel() for weight in network.llm.parameters()))
    talk = turns(model, watch, n=n_turns, enough_s=enough_s, aim_ms=aims.first_audio_ms)
    # Asked before anything that a call does not do takes memory.
    talk.rows.append(Row("memory at most, one session", peak_bytes(device) / 2**20, "MiB", 1))
    bounds = measure_bounds(watch, network.llm.model.norm.weight.dtype)
    found = Findings(
        [
            Row("memory bandwidth of the device, copying", bounds.bytes_per_s / 1e9, "GB/s", 1),
            Row("matrix products of the device", bounds.flops / 1e12, "TFLOP/s", 1),
            Row("loaded in", load_s, "s", 1),
            *(Row(f"weights: {name}", size / 2**20, "MiB", 1) for name, size in weights(network).items()),
            *opening(model, watch, n),
            *listening(model, network, watch, bounds, n=n, aim_ms=aims.unit_ms),
            *writing(network, watch, bounds, n=n, aim=aims.writing),
            *speaking(network, watch, bounds, n=n),
        ]
    )
    found.add(talk)
    return found


def aims_for(device: torch.device, n_parameters: int) -> Aims:
    """They are for an H100 and the released size; anything else is only measured."""
    return AIMS if device.type == "cuda" and n_parameters >= RELEASED_SIZE else Aims(None, None, None)


def loaded(checkpoint: Checkpoint, device: torch.device) -> tuple[MiniCpmO, Network]:
    """The family over a checkpoint, speaking in a voice of our own, and the network inside of it."""
    network, tokenizer = load_network(checkpoint, device)
    model = MiniCpmO(network, tokenizer)
    model.add_voices([("bench", sound(REFERENCE_S))])
    return model, network


def weights(network: Network) -> dict[str, int]:
    """Bytes by part, and all together."""
    sizes = {
        "LLM": weight_bytes(network.llm),
        "eyes": weight_bytes(network.seeing.encoder, network.seeing.resampler) if network.seeing else 0,
        "ears": weight_bytes(network.hearing.encoder, network.hearing.projector) if network.hearing else 0,
        "talker and codec": weight_bytes(network.synthesis.talker) if network.synthesis else 0,
        "vocoder": weight_bytes(network.synthesis.vocoder) if network.synthesis else 0,
    }
    return {**sizes, "all": sum(sizes.values())}


def peak_bytes(device: torch.device) -> int:
    """The most memory that was in use so far: of the GPU, or resident memory of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


def writing(network: Network, watch: Stopwatch, bounds: Bounds, *, n: int, aim: float | None) -> list[Row]:
    """Tokens per second of the language model in n bursts, for one session and for several together.

    The aim is for one session: how much of what memory allows, in percent.
    """
    rows = []
    for n_rows in BATCHES:
        answers = [_answer(network, BURST * (n + 1), seed) for seed in range(n_rows)]
        burst_s = watch.median_s(partial(decode, network.llm, answers, BURST), n)
        cache = answers[0].cache
        remembered = n_rows * CONTEXT * cache.nbytes / cache.capacity
        best = n_rows / bounds.least_s(step_bytes(network.llm) + remembered)
        name = f"LLM writes, {n_rows} session{'s' * (n_rows > 1)}"
        row = Row(name, n_rows * BURST / burst_s, "tokens/s", n, better="higher", bound=best)
        rows.append(row)
        if n_rows == 1 and row.reached is not None:
            rows.append(Row(f"{name}, share of what memory allows", 100 * row.reached, "%", n, aim, "higher"))
    return rows


def speaking(network: Network, watch: Stopwatch, bounds: Bounds, *, n: int) -> list[Row]:
    """Steps per second of the talker, and how long its codes take to become sound.

    Raises:
        ValueError: the network does not speak.
    """
    synthesis = network.synthesis
    if synthesis is None:
        raise ValueError("this checkpoint has no talker (init_tts is false): there is no speech to measure")
    talker = synthesis.talker
    rows = []
    for n_rows in (BATCHES[0], BATCHES[-1]):
        states = [_segment(synthesis) for _ in range(n_rows)]
        draws = [_endless(synthesis, seed, watch.device) for seed in range(n_rows)]
        call_s = watch.median_s(partial(talker.generate, states, draws), n)
        cache = states[0].cache
        n_slots = talker.bos_slot + FRAMES_PER_CALL * (n + 1) / 2
        remembered = n_rows * n_slots * cache.nbytes / cache.capacity
        best = n_rows / bounds.least_s(weight_bytes(talker.model, talker.head_code) + remembered)
        name = f"talker, {n_rows} session{'s' * (n_rows > 1)}"
        real_time = n_rows * frames_per_s(synthesis)
        rows.append(Row(name, n_rows * FRAMES_PER_CALL / call_s, "steps/s", n, real_time, "higher", best))
    codes = torch.stack(states[0].frames[: FRAMES_PER_CALL + _FADED], -1).unsqueeze(0)
    sound_s = watch.median_s(lambda: synthesis.vocoder(talker.dvae(codes).float()).cpu(), n)
    factor = frames_per_s(synthesis) / FRAMES_PER_CALL
    least_s = bounds.least_s(weight_bytes(talker.dvae.decoder, synthesis.vocoder))
    rows.append(Row("real-time factor: codes to sound", sound_s * factor, "×", n, bound=least_s * factor))
    return rows


def frames_per_s(synthesis: Synthesis) -> float:
    """Frames of codes in a second of sound: what the talker has to reach for each session."""
    return Timing().output_rate / (FRAMES_PER_STEP * synthesis.vocoder.config.hop_length)


def _answer(network: Network, n_tokens: int, seed: int) -> Decoding:
    """An answer that nothing ends, behind a context of zeros: they take as long as any other."""
    llm = network.llm
    cache = llm.model.new_cache(CONTEXT + n_tokens)
    cache.length = CONTEXT
    draw = by_chance(torch.Generator(network.device).manual_seed(seed))
    return Decoding(cache, [0], TextSampling(), draw, frozenset(), limit=n_tokens)


def _segment(synthesis: Synthesis) -> TalkerState:
    """A segment of speech that has some text to read."""
    talker = synthesis.talker
    weight = talker.projector.linear1.weight
    state = talker.open(torch.ones(weight.shape[1], device=weight.device))
    talker.prefill_text(state, [synthesis.tokenizer.start_id, talker.config.spk_emb_token_id, *range(_TEXT)])
    state.n_text = _TEXT
    return state


def _endless(synthesis: Synthesis, seed: int, device: torch.device) -> Draw:
    """Chance that never ends the speech: a shorter call would look like a faster one."""
    chance = by_chance(torch.Generator(device).manual_seed(seed))
    end = synthesis.talker.config.eos_token_id

    def draw(probabilities: Tensor) -> Tensor:
        return chance(probabilities[..., :end] + torch.finfo(probabilities.dtype).tiny)

    return draw
