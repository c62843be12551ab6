"""Seconds from the start of the process to ready, and resident memory."""

import os
import site
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from scripts.bench_suite.report import Findings, Row
from scripts.bench_suite.server import ROOT, omni_server


def measure() -> Findings:
    """Once with what was installed driven out of the page cache, then three times with it there."""
    _evict()
    with omni_server() as server:
        cold_s = server.ready_after_s
    warm = []
    for _ in range(3):
        with omni_server() as server:
            warm.append(server.ready_after_s)
            rss_mb = server.rss_mb()
    return Findings(
        [
            Row("start to ready, files not in memory", cold_s, "s", 1),
            Row("start to ready, files in memory", sorted(warm)[1], "s", 3),
            Row("resident memory when ready", rss_mb, "MiB", 1),
        ]
    )


def _evict() -> None:
    """Ask the kernel to forget the files of every installed package. What another process maps stays."""
    for path in _files():
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def _files() -> Iterator[Path]:
    for folder in (*site.getsitepackages(), str(ROOT / "omni"), str(ROOT / "streaming")):
        for path in Path(folder).rglob("*"):
            if path.is_file():
                yield path
