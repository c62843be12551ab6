"""Answers drawn in bursts: where they end, what the penalty sees, and that rows do not show in one another."""

from collections.abc import Sequence

import pytest
import torch

from omni.nn.sampling import TextSampling, greedy
from omni.text.decoding import Decoding, decode, recite
from omni.text.llm import LanguageModel
from tests.text.test_llm import CONFIG

PLAIN = TextSampling(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0)
NEVER = frozenset[int]()


@pytest.fixture(scope="module")
def llm() -> LanguageModel:
    torch.manual_seed(5)
    model = LanguageModel(CONFIG)
    model.requires_grad_(False)
    return model


def begun(
    llm: LanguageModel,
    prompt: Sequence[int],
    *,
    limit: int = 12,
    terminators: frozenset[int] = NEVER,
    sampling: TextSampling = PLAIN,
    by_bursts: bool = True,
) -> Decoding:
    return Decoding(llm.model.new_cache(0), list(prompt), sampling, greedy, terminators, limit, by_bursts)


def whole(llm: LanguageModel, prompt: Sequence[int], n: int) -> list[int]:
    """The slow twin: everything is fed again for every token."""
    ids = list(prompt)
    for _ in range(n):
        states = llm.read([llm.embed(torch.tensor(ids))], [llm.model.new_cache(0)])[0]
        ids.append(int(llm.logits(states[-1]).argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("burst", [1, 3, 12])
def test_how_an_answer_is_cut_into_bursts_does_not_show(llm: LanguageModel, burst: int) -> None:
    row = begun(llm, [3, 1, 4])
    while not row.finished:
        decode(llm, [row], burst)
    assert row.ids == whole(llm, [3, 1, 4], 12)
    assert not row.completed
    # the last token drawn is fed by the burst after it
    assert row.cache.length == 3 + 11


def test_rows_of_one_batch_end_where_each_alone_would(llm: LanguageModel) -> None:
    prompts = [[3, 1, 4], [5], [9, 2, 6, 5, 8]]
    alone = [whole(llm, prompt, 8) for prompt in prompts]
    stop = frozenset({alone[0][2]})
    rows = [begun(llm, prompt, limit=8, terminators=stop) for prompt in prompts]
    drawn = decode(llm, rows, 20)
    for ids, row, expected in zip(drawn, rows, alone, strict=True):
        end = next((index + 1 for index, token in enumerate(expected) if token in stop), 8)
        assert ids == row.ids == expected[:end]
        assert row.completed == (expected[end - 1] in stop)
    assert decode(llm, rows, 3) == [[], [], []]


def test_the_penalty_of_a_live_answer_sees_its_burst_and_outside_of_a_stream_the_answer(llm: LanguageModel) -> None:
    harsh = TextSampling(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1e6)
    live, chat = (begun(llm, [3, 1, 4], sampling=harsh, by_bursts=by) for by in (True, False))
    for row in (live, chat):
        decode(llm, [row], 3)
    assert live.seen == [3, 1, 4, *live.ids]
    assert chat.seen == chat.ids
    decode(llm, [live], 3)
    decode(llm, [chat], 3)
    assert live.seen == live.ids[2:]
    assert chat.seen == chat.ids
    assert len(set(chat.ids)) == 6


def test_the_state_of_what_was_fed_first_is_kept(llm: LanguageModel) -> None:
    row = begun(llm, [3, 1, 4])
    decode(llm, [row], 5)
    expected = llm.read([llm.embed(torch.tensor([3, 1, 4]))], [llm.model.new_cache(0)])[0]
    assert row.state is not None
    torch.testing.assert_close(row.state, expected)


def test_what_is_forbidden_is_never_drawn(llm: LanguageModel) -> None:
    free, bound = begun(llm, [3, 1, 4]), begun(llm, [3, 1, 4])
    bound.forbidden = frozenset(whole(llm, [3, 1, 4], 12))
    for row in (free, bound):
        decode(llm, [row], 12)
    assert not bound.forbidden & {*bound.ids}
    assert len(free.ids) == len(bound.ids) == 12
    assert bound.forbidden == {*free.ids}


@pytest.mark.parametrize("burst", [1, 3, 20])
def test_a_script_is_taken_as_if_it_had_been_drawn(llm: LanguageModel, burst: int) -> None:
    drawn, given = begun(llm, [3, 1, 4]), begun(llm, [3, 1, 4], limit=8)
    decode(llm, [drawn], 8)
    given.script = tuple(drawn.ids)
    other = begun(llm, [5], limit=2)
    other.script = (7, 7)
    while not given.finished:
        recite(llm, [given, other], burst)
    assert (given.ids, given.unfed, other.ids) == (drawn.ids, drawn.unfed, [7, 7])
    assert given.cache.length == drawn.cache.length
    torch.testing.assert_close(given.cache.keys[:, :, :10], drawn.cache.keys[:, :, :10])
    assert given.state is not None
    torch.testing.assert_close(given.state, drawn.state)
    assert recite(llm, [given], burst) == [[]]


def test_a_row_without_numbers_ends_and_shows_in_no_other(llm: LanguageModel) -> None:
    expected = whole(llm, [3, 1, 4], 6)
    sound, lost = begun(llm, [3, 1, 4], limit=6), begun(llm, [5], limit=6)
    for row in (sound, lost):
        decode(llm, [row], 2)
    lost.cache.values = torch.full_like(lost.cache.values, torch.nan)
    drawn = decode(llm, [sound, lost], 6)
    assert (sound.ids, sound.broken) == (expected, False)
    assert (drawn[1], lost.broken, lost.finished, lost.completed) == ([], True, True, False)


def test_a_copy_goes_its_own_way(llm: LanguageModel) -> None:
    row = begun(llm, [3, 1, 4])
    decode(llm, [row], 3)
    twin, length = row.copy(), row.cache.length
    decode(llm, [row], 3)
    row.cache.truncate(length)
    decode(llm, [twin], 3)
    assert twin.ids == row.ids
    assert len(twin.ids) == 6
