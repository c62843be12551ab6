from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from omni.checkpoint import find
from omni.families.minicpm_o.family import MiniCpmO, load_minicpm_o
from omni.families.minicpm_o.network import Prompt
from omni.nn.cache import KvCache
from tests.fakes_nano import FakeChat, FakeParts, parrot
from tests.families.small import Told, seeded


@pytest.fixture
def parts() -> FakeParts:
    return FakeParts(FakeChat(parrot))


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Iterator[MiniCpmO]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    loaded = load_minicpm_o(find(str(tiny_folder)), device="cpu", mode="omni", language="en")
    loaded._new_draw = seeded
    yield loaded
    torch.set_num_threads(n_threads)


@pytest.fixture
def told(model: MiniCpmO, monkeypatch: pytest.MonkeyPatch) -> Told:
    told, read, encode = Told(), model._network.read, model._tokenizer.encode
    spelled: dict[tuple[int, ...], str] = {}

    def encoding(text: str) -> list[int]:
        ids = encode(text)
        spelled[tuple(ids)] = text
        return ids

    def reading(prompts: Sequence[Prompt], caches: Sequence[KvCache]) -> list[torch.Tensor]:
        told.texts += [spelled[tuple(prompt.ids)].replace("<unk>", "") for prompt in prompts]
        return read(prompts, caches)

    monkeypatch.setattr(model._tokenizer, "encode", encoding)
    monkeypatch.setattr(model._network, "read", reading)
    return told
