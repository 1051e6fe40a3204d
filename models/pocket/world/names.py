"""Names of the people whom captions may name ("celebrities"): two words each, and no word is shared.

The words are invented, so that no name is a real person's. A person's two words belong to that person
alone, as the rare names do that textual inversion starts from.
"""

import numpy as np

COUNT = 300
NAME_SEED = 4_000
ONSETS = "b c d f g h j k l m n p r s t v w z br ch cr dr fl gr kl pr st tr".split()
VOWELS = "a e i o u ai".split()
MIDDLES = "l m n r s t d v b k nd rt ll mm ss st".split()
FIRST_ENDS = "a o i e an en in on el is us".split()
LAST_ENDS = "er man ski sen ov ez ard ett ini ham ley well".split()


def _words(rng: np.random.Generator, ends: list[str], count: int, taken: set[str]) -> list[str]:
    """`count` new pronounceable words of five to eight letters."""
    words: list[str] = []
    while len(words) < count:
        word = "".join(str(rng.choice(part)) for part in (ONSETS, VOWELS, MIDDLES, ends))
        if 5 <= len(word) <= 8 and word not in taken:
            taken.add(word)
            words.append(word)
    return words


def celebrity_names() -> list[str]:
    """COUNT two-word names, the same ones every time."""
    rng, taken = np.random.default_rng(NAME_SEED), set()
    first = _words(rng, FIRST_ENDS, COUNT, taken)
    last = _words(rng, LAST_ENDS, COUNT, taken)
    return [f"{a} {b}" for a, b in zip(first, last)]
