"""Probabilities of both samplers against the golden ones."""

from collections.abc import Callable

import torch

from omni.nn.sampling import SpeechSampling, TextSampling, speech_probabilities, text_probabilities
from tests.parity.golden import Golden, Record, assert_close

LIMIT = 1e-4


def test_speech_probabilities(golden: Callable[[str], Golden], record_property: Record) -> None:
    file = golden("sampling")
    facts, tensors = file.facts, file.tensors
    for index, case in enumerate(facts["tts_cases"]):
        sampling = SpeechSampling(
            temperature=case["temperature"],
            top_p=case["top_p"],
            top_k=case["top_k"],
            repetition_penalty=case["repetition_penalty"],
            repetition_window=facts["repetition_window"],
            min_kept=facts["min_tokens_to_keep"],
        )
        history = tensors[f"in.tts_history.{index}"]
        assert (len(history) == 0) == case["first_frame"]
        found = speech_probabilities(
            tensors[f"in.tts_logits.{index}"],
            history,
            sampling,
            end=facts["eos_token"],
            may_end=case["step_in_call"] >= facts["min_new_token"] and not case["force_no_stop"],
        )
        assert_close(found, tensors[f"out.tts_probs.{index}"], LIMIT, record_property, f"tts_probs.{index}")
        assert (found > 0).sum(-1).tolist() == facts["expected"]["tts_kept"][index]


def test_text_probabilities(golden: Callable[[str], Golden], record_property: Record) -> None:
    file = golden("sampling")
    facts, tensors = file.facts, file.tensors
    for index, case in enumerate(facts["llm_cases"]):
        generation = case["generation"]
        history = tensors[f"in.llm_history.{index}"].tolist()
        sampling = TextSampling(
            temperature=generation["temperature"],
            top_p=generation["top_p"],
            top_k=generation["top_k"],
            repetition_penalty=generation["repetition_penalty"],
        )
        too_short = len(history) < generation.get("min_new_tokens", 0)
        found = text_probabilities(
            tensors[f"in.llm_logits.{index}"], history, sampling, case["eos_token_id"] if too_short else ()
        )
        assert_close(found, tensors[f"out.llm_probs.{index}"], LIMIT, record_property, f"llm_probs.{index}")
        assert int((found > 0).sum()) == facts["expected"]["llm_kept"][index]
        torch.testing.assert_close(found.sum(), torch.tensor(1.0))
