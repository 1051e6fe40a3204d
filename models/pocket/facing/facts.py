"""What captions can say, as yes-or-no facts: which are true of a picture, which does a caption claim.

A caption of one picture is often true of many others ("a photo of a person at sunset"). Knowing that,
a contrastive loss does not push apart what belongs together.
"""

import re

import numpy as np

from world.captions import BEARD_PHRASES, GLASSES_PHRASES, HAIR_PHRASES, OPENINGS, PHOTO_OPENINGS
from world.identity import EYE_COLOURS, HAIR_COLOURS, Identity, skin_word
from world.scene import CLOTHES, EXPRESSIONS, HEADWEAR, Scene

PLACE_WORDS = {"wall": "plain wall", "beach": "beach", "forest": "forest", "city": "city at night",
               "curtain": "curtain", "snow": "snow", "sunset": "sunset", "field": "field"}
SKINS = ("pale", "light", "tan", "brown", "dark")
FEATURES = {"a round face": lambda p: p.face_width / p.face_height > .82, "a long face": lambda p: p.face_width / p.face_height < .70,
            "thick brows": lambda p: p.brow_thickness > .040, "a big nose": lambda p: p.nose_width > .108,
            "a wide mouth": lambda p: p.mouth_width > .198, "big eyes": lambda p: p.eye_size > .118,
            "big ears": lambda p: p.ear > .135, "red lips": lambda p: p.lipstick > .3, "freckles": lambda p: p.freckles}


def _phrases() -> dict[tuple[str, str], tuple[str, ...]]:
    """Every fact as (kind, value), and the phrases that claim it."""
    hair = {s: [p.format(c) for c in HAIR_COLOURS] for s, p in HAIR_PHRASES.items()}
    claims = {("style", "photo"): PHOTO_OPENINGS}
    claims |= {("style", s): (o,) for s, o in OPENINGS.items()}
    claims |= {("expression", e): (e,) for e in EXPRESSIONS}
    claims |= {("clothes", c): (f"a {c}",) for c in CLOTHES}
    claims |= {("headwear", h): (f"a {h}",) for h in HEADWEAR if h != "none"}
    claims |= {("place", p): (w,) for p, w in PLACE_WORDS.items()}
    claims |= {("hair style", s): tuple(p) for s, p in hair.items()} | {("hair style", "bald"): ("a bald head",)}
    claims |= {("hair colour", c): tuple(p.format(c) for p in HAIR_PHRASES.values()) for c in HAIR_COLOURS}
    claims |= {("skin", s): (f"{s} skin",) for s in SKINS} | {("eyes", c): (f"{c} eyes",) for c in EYE_COLOURS}
    claims |= {("beard", b): (p,) for b, p in BEARD_PHRASES.items()} | {("glasses", g): (p,) for g, p in GLASSES_PHRASES.items()}
    return claims | {("feature", f): (f,) for f in FEATURES}


CLAIMS = _phrases()
KINDS = tuple(dict.fromkeys(kind for kind, _ in CLAIMS))
PATTERNS = [re.compile("|".join(rf"\b{re.escape(p)}\b" for p in phrases)) for phrases in CLAIMS.values()]


def true_facts(person: Identity, scene: Scene) -> np.ndarray:
    """Which facts are true of a picture, uint8 [F]."""
    values = {"style": scene.style, "expression": scene.expression, "clothes": scene.clothes, "headwear": scene.headwear,
              "place": scene.place, "hair style": person.hair_style, "skin": skin_word(person.tone), "eyes": person.eye_colour,
              "hair colour": None if person.hair_style == "bald" else person.hair_colour,
              "beard": person.beard, "glasses": person.glasses}
    return np.array([FEATURES[v](person) if k == "feature" else values[k] == v for k, v in CLAIMS], np.uint8)


def claimed_facts(caption: str) -> np.ndarray:
    """Which facts a caption claims, uint8 [F]."""
    return np.array([bool(p.search(caption)) for p in PATTERNS], np.uint8)
