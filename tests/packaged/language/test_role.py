"""What a character's own words make of the scores of the next token."""

import numpy as np
import pytest

from omni.packaged.language import gguf
from omni.packaged.language.decoder import SMOLLM2
from omni.packaged.language.prompt import Persona
from omni.packaged.language.role import Role
from omni.text.tokenizer import BpeTokenizer

FLINT = Persona.of("""You are Captain Flint, an old pirate captain who loves treasure.
User: Hello!
You: Ahoy, matey! We're aboard the Walrus.
User: Who are you?
You: I am Captain Flint, and the storm is my brother.""")

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def tokenizer() -> BpeTokenizer:
    model = gguf.read(SMOLLM2.verified())
    tokens, merges = model.strings("tokenizer.ggml.tokens"), model.strings("tokenizer.ggml.merges")
    return BpeTokenizer(tokens, merges, model.integers("tokenizer.ggml.token_type"))


def bent(tokenizer: BpeTokenizer, text: str) -> dict[str, float]:
    """What is added to the score of some words behind a text."""
    role, logits = Role(FLINT, tokenizer), np.zeros(tokenizer.n_tokens, np.float32)
    role.bend(logits, role.leaning, text)
    words = (" storm", " treasure", " the", " wine", " Captain", " Flint", "'m", "'re")
    return {word: float(logits[tokenizer.encode(word)[0]]) for word in words}


def test_a_character_leans_towards_its_own_words(tokenizer: BpeTokenizer) -> None:
    scores = bent(tokenizer, "I love")
    assert scores[" storm"] > 0 < scores[" treasure"]
    assert scores[" the"] == scores[" wine"] == 0


def test_it_contracts_as_it_does_in_its_examples(tokenizer: BpeTokenizer) -> None:
    scores = bent(tokenizer, "I")
    assert scores["'m"] == -np.inf
    assert scores["'re"] == 0


def test_its_name_is_its_own_and_whole(tokenizer: BpeTokenizer) -> None:
    assert bent(tokenizer, "A fine day,")[" Captain"] == -np.inf
    assert bent(tokenizer, "I am")[" Captain"] > -np.inf
    assert bent(tokenizer, "I am Captain")[" Flint"] > 0


def test_a_name_that_begins_as_a_common_word_does_not_forbid_it(tokenizer: BpeTokenizer) -> None:
    role = Role(Persona.of("You are Ivo Theo Flint.\nUser: Hello!\nYou: Good day."), tokenizer)
    for text in ("", "Good day.", "I am Ivo"):
        logits = np.zeros(tokenizer.n_tokens, np.float32)
        role.bend(logits, role.leaning, text)
        assert [logits[tokenizer.encode(word)[0]] for word in (" I", " The")] == [0, 0]
