"""What the tiny checkpoint can say, and the vocabularies of its two tokenizers, in the released files."""

import json
from collections.abc import Mapping

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from omni.text.released import qwen_bpe

KINDS: Mapping[str, tuple[str, ...]] = {
    "first": ("The", "A", "One", "This", "Every", "My"),
    "again": (" The", " A", " One", " This", " Every", " My"),
    "like": (" small", " wise", " young", " quiet", " happy", " clever", " brown", " tall"),
    "who": (" dog", " bird", " farmer", " teacher", " child", " cat", " doctor", " sailor", " horse", " painter"),
    "does": (" sees", " likes", " carries", " finds", " paints", " watches", " opens", " keeps", " wants", " knows"),
    "which": (" the", " a", " this", " that", " another"),
    "looks": (" green", " red", " round", " wooden", " heavy", " bright", " blue", " warm"),
    "what": (" table", " window", " boat", " garden", " letter", " basket", " lamp", " bridge", " house", " mirror"),
    "where": (" near", " behind", " under", " beside", " before"),
    "whose": (" my", " your", " our", " her", " his", " their"),
    "place": (" school", " river", " market", " station", " church", " tree", " wall", " road", " shop", " farm"),
    "stop": (".",),
    "speech end": ("<|tts_eos|>",),
    "end": ("<|im_end|>",),
}
"""the tokens that its answers are made of"""

FOLLOWERS: Mapping[str, tuple[str, ...]] = {
    "first": ("like", "who"),
    "again": ("like", "who"),
    "like": ("who",),
    "who": ("does",),
    "does": ("which",),
    "which": ("looks", "what"),
    "looks": ("what",),
    "what": ("stop", "where"),
    "where": ("whose",),
    "whose": ("place",),
    "place": ("stop",),
    "stop": ("again", "speech end"),
    "speech end": ("end",),
}
"""which kinds may come after a token of each; after any other token an answer begins"""

_QWEN = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>"
)
_QWEN_TEXT = (
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|>"
)
"""added, and not special"""
_MINICPM_O = (
    "<image> </image> <ref> </ref> <box> </box> <quad> </quad> <point> </point> <slice> </slice> <image_id> "
    "</image_id> <unit> </unit> <asr> </asr> <query> </query> <|audio_start|> <|audio|> <|audio_end|> <|spk_bos|> "
    "<|spk|> <|spk_eos|> <|tts_bos|> <|tts_eos|> <|listen|> <|speak|> <|interrupt|> <|vad_start|> <|vad_end|> "
    "<reserved_43> <reserved_53>"
)
_ADDED = f"{_QWEN} {_QWEN_TEXT} {_MINICPM_O}".split()
_UNKNOWN = "<unk>"
"""an entry of the vocabulary like any word, declared special afterwards"""

_BLANK = "Ġ"
"""how a byte-level vocabulary spells a blank"""

_BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_SOUNDS = "uv_break v_break lbreak llbreak undefine laugh spk_emb empty_spk music pure"
_MARKERS = [f"[{stage}{name}]" for name in ("asr", "tts", "break") for stage in "SPE"]
_MARKERS += [f"[{name}]" for name in _SOUNDS.split()]
_MARKERS += [
    f"[{name}_{step}]" for name, n in (("break", 8), ("laugh", 3), ("oral", 10), ("speed", 10)) for step in range(n)
]
_IDEOGRAPHS = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里好很天气"
)


def llm_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Every byte, and each word of the answers as one token, grown letter by letter; without the added tokens."""
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = []
    words = [word for kind in KINDS.values() for word in kind if word not in _ADDED]
    # A blank must find its letter before the letter finds the next one, or " The" would become " " and "The".
    for word in [*sorted(words, key=lambda word: not word.startswith(" ")), _UNKNOWN]:
        spelled = word.replace(" ", _BLANK)
        for end in range(1, len(spelled)):
            if spelled[: end + 1] not in tokens:
                tokens.append(spelled[: end + 1])
                merges.append((spelled[:end], spelled[end]))
    return {token: index for index, token in enumerate(tokens)}, merges


def llm_ids() -> dict[str, int]:
    """Ids of all tokens of the language model, added ones included."""
    vocabulary, _ = llm_vocabulary()
    return {**vocabulary, **{token: len(vocabulary) + index for index, token in enumerate(_ADDED)}}


def kinds() -> dict[int, str]:
    """The kind of every token that an answer is made of, by its id."""
    ids = llm_ids()
    return {ids[word.replace(" ", _BLANK)]: kind for kind, words in KINDS.items() for word in words}


def llm_files() -> dict[str, str]:
    """The language model's tokenizer files by name."""
    vocabulary, merges = llm_vocabulary()
    ids, plain = llm_ids(), _QWEN_TEXT.split()
    added = {token: ids[token] for token in [*_ADDED, _UNKNOWN]}
    tokens = {token: AddedToken(token, special=token not in plain, normalized=False) for token in added}
    bpe = qwen_bpe(vocabulary, merges)
    for token in tokens.values():
        bpe.add_special_tokens([token]) if token.special else bpe.add_tokens([token])
    named = {
        "additional_special_tokens": [token for token in _ADDED if token not in plain],
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": _UNKNOWN,
    }
    decoder = {str(index): _flags(tokens[token]) for token, index in sorted(added.items(), key=lambda item: item[1])}
    settings = {"add_prefix_space": False, "added_tokens_decoder": decoder, **named}
    return {
        "vocab.json": _json(vocabulary),
        "merges.txt": "\n".join(["#version: 0.2", *map(" ".join, merges), ""]),
        "tokenizer.json": bpe.to_str(pretty=True),
        "tokenizer_config.json": _json({**settings, "tokenizer_class": "Qwen2Tokenizer"}),
        "added_tokens.json": _json(added),
        "special_tokens_map.json": _json(named),
    }


def talker_ids() -> dict[str, int]:
    """Ids of the talker's vocabulary: the words of the answers whole, all else letter by letter, then the markers."""
    words = {word.strip().lower() for kind in KINDS.values() for word in kind if word not in _ADDED}
    signs = [chr(code) for code in range(ord("!"), ord("~") + 1) if not chr(code).isupper()]
    inside = [f"##{sign}" for sign in signs if sign.isalnum()]
    tokens = [*_BERT, *dict.fromkeys([*signs, *inside, *_IDEOGRAPHS, *sorted(words)]), *_MARKERS]
    return {token: index for index, token in enumerate(tokens)}


def talker_files() -> dict[str, str]:
    """The files of the talker's tokenizer by name."""
    ids = talker_ids()
    base = {token: index for token, index in ids.items() if token not in _MARKERS}
    pieces = Tokenizer(models.WordPiece(base, unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.decoder = decoders.WordPiece()
    special = [AddedToken(token, special=True, normalized=False) for token in [*_BERT, *_MARKERS]]
    pieces.add_special_tokens(special)
    named = {"additional_special_tokens": _MARKERS, "unk_token": "[UNK]", "pad_token": "[PAD]"}
    named |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    settings = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
    decoder = {str(ids[token.content]): _flags(token) for token in special}
    return {
        "vocab.txt": "".join(f"{token}\n" for token in base),
        "tokenizer.json": pieces.to_str(pretty=True),
        "tokenizer_config.json": _json(
            {**settings, "added_tokens_decoder": decoder, **named, "tokenizer_class": "BertTokenizer"}
        ),
        "added_tokens.json": _json({token: ids[token] for token in _MARKERS}),
        "special_tokens_map.json": _json(named),
    }


def _flags(token: AddedToken) -> dict[str, str | bool]:
    names = ("content", "lstrip", "normalized", "rstrip", "single_word", "special")
    return {name: getattr(token, name) for name in names}


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False)
