"""A CLIP tokenizer whose vocabulary is the world's own words plus all bytes.

Every word of the world is one token, so that a two-word name is two tokens; anything else still
splits into bytes. The files are those of Stable Diffusion 2.x: pad token "!" (id 0).
"""

import json
import re
from pathlib import Path

from transformers import CLIPTokenizer
from transformers.models.clip.tokenization_clip import bytes_to_unicode

from world import captions
from world.identity import HAIR_COLOURS, EYE_COLOURS
from world.names import celebrity_names
from world.scene import CLOTHES, EXPRESSIONS, HEADWEAR

CONTEXT = 48
BOS, EOS, PAD = "<|startoftext|>", "<|endoftext|>", "!"
PHRASES = ("wearing and a an with in on at the of skin eyes pale light tan brown dark bald head round long face thick "
           "brows big nose wide mouth ears red lips freckles")


def world_words() -> list[str]:
    """Every word a caption of this world can contain, plus a few that prompts are likely to use."""
    texts = [*captions.PHOTO_OPENINGS, *captions.OPENINGS.values(), *captions.NOUNS,
             *(p for phrases in captions.PLACE_PHRASES.values() for p in phrases),
             *captions.HAIR_PHRASES.values(), *captions.BEARD_PHRASES.values(), *captions.GLASSES_PHRASES.values(),
             *captions.EXTRA_WORDS, *HAIR_COLOURS, *EYE_COLOURS, *CLOTHES, *EXPRESSIONS, *HEADWEAR, PHRASES, *celebrity_names()]
    words = [word for text in texts for word in re.findall(r"[a-z]+", text.lower())]
    return list(dict.fromkeys(w for w in words if len(w) > 1))


def _split(word: str, rank: dict[tuple[str, str], int]) -> list[str]:
    """Byte-pair encoding of one word under the merges so far."""
    pieces = [*word[:-1], word[-1] + "</w>"]
    while len(pieces) > 1:
        pairs = list(zip(pieces, pieces[1:]))
        best = min(pairs, key=lambda pair: rank.get(pair, 1 << 30))
        if best not in rank:
            break
        at = pairs.index(best)
        pieces[at:at + 2] = ["".join(best)]
    return pieces


def build_merges(words: list[str]) -> list[tuple[str, str]]:
    """Merges that join each word into one token.

    Each word is first split by the merges so far and its pieces are then joined from the left by new,
    lower-ranked merges; an older word always has an older merge to apply, so it keeps its one token.
    """
    rank: dict[tuple[str, str], int] = {}
    for word in words:
        pieces = _split(word, rank)
        while len(pieces) > 1:
            rank[(pieces[0], pieces[1])] = len(rank)
            pieces = _split(word, rank)
    return list(rank)


def write_tokenizer(folder: Path) -> CLIPTokenizer:
    """Writes the four tokenizer files, checks them and returns the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    words = world_words()
    merges = build_merges(words)
    symbols = list(bytes_to_unicode().values())
    vocabulary = symbols + [s + "</w>" for s in symbols] + ["".join(m) for m in merges] + [BOS, EOS]
    if len(set(vocabulary)) != len(vocabulary):
        raise AssertionError("the vocabulary repeats a token")
    ids = {token: i for i, token in enumerate(vocabulary)}
    special = {"bos_token": BOS, "eos_token": EOS, "unk_token": EOS, "pad_token": PAD}
    config = {**special, "add_prefix_space": False, "do_lower_case": True, "errors": "replace",
              "model_max_length": CONTEXT, "tokenizer_class": "CLIPTokenizer"}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False))
    lines = ["#version: 0.2", *(" ".join(m) for m in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    for word in words:
        if len(tokenizer.tokenize(word + ",")) != 2:
            raise AssertionError(f"{word!r} is not one token: {tokenizer.tokenize(word)}")
    return tokenizer
