"""What tests with a real browser share: the browser, and the server with its packaged models."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from omni.packaged.speaking.synthesizer import Synthesizer
from omni.types import Pcm
from tests.browser.calls import serving
from tests.browser.chromium import BROWSERS

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here run in one event loop, to which the browser that they share belongs."""
    for item in items:
        if item.path.parent == _HERE and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def browsers() -> AsyncIterator[None]:
    """Whatever browsers the tests had are closed after the last one."""
    yield
    await BROWSERS.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`omni serve` with its packaged models, for everybody who does not end it: its address."""
    with serving("--data-dir", str(tmp_path_factory.mktemp("served"))) as address:
        yield address


@pytest.fixture(scope="session")
def synthesizer() -> Synthesizer:
    """Where people's voices come from."""
    return Synthesizer()


@pytest.fixture(scope="session")
def speak(synthesizer: Synthesizer) -> Callable[[str], Pcm]:
    """A person's voice, at Timing.output_rate."""
    return lambda text: synthesizer.speak(text, synthesizer.voices[0]).pcm
