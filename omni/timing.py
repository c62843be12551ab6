"""Time's quantities, written once (law 1). Everything else derives from the fields below."""

from dataclasses import dataclass


def exact_div(numerator: int, denominator: int) -> int:
    """Divide integers and refuse to round.

    Raises:
        ValueError: the division leaves a remainder, so two stages would drift apart.
    """
    quotient, remainder = divmod(numerator, denominator)
    if remainder:
        raise ValueError(f"{numerator} is no multiple of {denominator}; choose rates that divide evenly")
    return quotient


@dataclass(frozen=True, slots=True)
class Timing:
    """How media time is cut. Rates in Hz, lengths in ms or samples, as their names say."""

    input_rate: int = 16_000
    """what the encoders hear"""
    output_rate: int = 24_000
    """what the vocoder speaks"""
    wire_rate: int = 24_000
    """PCM on the wire, both ways (OpenAI Realtime)"""
    unit_ms: int = 1_000
    """one slice of time-division multiplexing"""
    packet_ms: int = 20
    """what the network delivers at a time, at least"""
    window_samples: int = 512
    """one window of voice activity at input_rate (Silero's size)"""

    @property
    def unit_samples(self) -> int:
        """Samples of one unit at input_rate."""
        return exact_div(self.input_rate * self.unit_ms, 1_000)

    @property
    def packet_samples(self) -> int:
        """Samples of the smallest packet at input_rate."""
        return exact_div(self.input_rate * self.packet_ms, 1_000)

    @property
    def window_s(self) -> float:
        """Length of one voice-activity window in seconds."""
        return self.window_samples / self.input_rate
