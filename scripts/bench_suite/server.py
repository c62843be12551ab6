"""Starts servers as processes of their own, waits until they are ready, and weighs them."""

import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "out" / "bench"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    process: psutil.Process
    ready_after_s: float
    """from the start of the process until /health said 200"""

    @property
    def realtime_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    def rss_mb(self) -> float:
        """Resident memory of the process and its children in MiB."""
        family = [self.process, *self.process.children(recursive=True)]
        return float(sum(member.memory_info().rss for member in family)) / 2**20

    def cpu_s(self) -> float:
        """Processor seconds that the process has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def free_port() -> int:
    """A port that nothing listens on, and that stays free: of those that the system gives to no connection."""
    while True:
        port = random.randrange(20_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def running(module: str, arguments: Sequence[str], patience_s: float = 180) -> Iterator[Server]:
    """Run `python -m module arguments --port P` until the block ends.

    Raises:
        RuntimeError: it ended, or was not ready in time; the message shows the end of its log.
    """
    port = free_port()
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{module.rpartition('.')[2]}-{port}.log"
    command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
    with log.open("w") as output:
        started_s = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        while not _is_ready(port):
            if process.poll() is not None or time.monotonic() - started_s > patience_s:
                raise RuntimeError(f"{' '.join(command)} did not get ready:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield Server(port, psutil.Process(process.pid), time.monotonic() - started_s)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def omni_server(*arguments: str) -> Iterator[Server]:
    """`omni serve` on a free port of this machine."""
    with running("streaming", ["serve", "--host", "127.0.0.1", *arguments]) as server:
        yield server


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
            return int(reply.status) == 200
    except (urllib.error.URLError, OSError):
        return False
