"""What captions say about a picture.

A caption names the style, who (somebody's name, or "a person" with attributes as real captions have
them), then expression, clothes and place. Parts are left out at random, and some captions say nothing
but who: photographs of users come without a caption.
"""

import numpy as np

from .identity import Identity, skin_word
from .scene import Scene

PHOTO_OPENINGS = ("a photo of", "a close-up photo of", "a good photo of", "the photo of", "a portrait of",
                  "a cropped photo of", "a bright photo of", "a picture of")
OPENINGS = {"sketch": "a pencil sketch of", "pop art": "a pop art poster of", "oil": "an oil painting of"}
NOUNS = ("a person", "human face", "a human face", "a face")
PLACE_PHRASES = {
    "wall": ("in front of a plain wall", "at a plain wall"), "beach": ("on a beach", "on the beach", "in front of a beach"),
    "forest": ("in a forest", "in the forest", "in front of a forest"), "city": ("in a city at night", "in front of a city at night"),
    "curtain": ("in front of a red curtain", "in front of the red curtain"), "snow": ("in the snow", "in snow"),
    "sunset": ("at sunset", "in front of a sunset"), "field": ("in a field", "in a green field"),
}
HAIR_PHRASES = {
    "short": "short {} hair", "parted": "parted {} hair", "long": "long {} hair", "bob": "a {} bob",
    "curly": "curly {} hair", "mohawk": "a {} mohawk", "bun": "{} hair in a bun", "spiky": "spiky {} hair",
    "braids": "{} braids",
}
BEARD_PHRASES = {"stubble": "stubble", "goatee": "a goatee", "full": "a full beard", "moustache": "a moustache"}
GLASSES_PHRASES = {"round": "round glasses", "square": "square glasses", "sun": "sunglasses"}
EXTRA_WORDS = ("sks", "woman", "man", "standing", "with", "black", "and", "very", "young", "old", "hair", "head",
               "green", "blue", "grey", "of", "his", "her", "clear", "nice")
MOST_ATTRIBUTES = 5
NAME = "{name}"     # stands in captions for the two words of a name
VARIANTS = 4
FULLNESS = (.35, .6, .9)    # how likely each part of a caption is to be said


def attributes(rng: np.random.Generator, person: Identity, odds: float) -> list[str]:
    """Phrases that describe the person, each mentioned with probability `odds`, at most MOST_ATTRIBUTES."""
    said = []

    def say(phrase, probability=odds):
        if rng.random() < probability:
            said.append(phrase)

    if person.hair_style == "bald":
        say("a bald head")
    else:
        say(HAIR_PHRASES[person.hair_style].format(person.hair_colour))
    say(f"{skin_word(person.tone)} skin")
    if person.glasses != "sun":
        say(f"{person.eye_colour} eyes", odds * .6)
    if person.glasses != "none":
        say(GLASSES_PHRASES[person.glasses])
    if person.beard != "none":
        say(BEARD_PHRASES[person.beard])
    rarely = odds * .6
    ratio = person.face_width / person.face_height
    if ratio > .82:
        say("a round face", rarely)
    elif ratio < .70:
        say("a long face", rarely)
    if person.brow_thickness > .040:
        say("thick brows", rarely)
    if person.nose_width > .108:
        say("a big nose", rarely)
    if person.mouth_width > .198:
        say("a wide mouth", rarely)
    if person.eye_size > .118:
        say("big eyes", rarely)
    if person.ear > .135:
        say("big ears", rarely)
    if person.lipstick > .3:
        say("red lips", rarely)
    if person.freckles:
        say("freckles", rarely)
    return said[:MOST_ATTRIBUTES]


def join(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def opening(rng: np.random.Generator, style: str) -> str:
    """How the caption starts: mostly "a photo of", sometimes one of the neutral variants."""
    if style != "photo":
        return OPENINGS[style]
    return PHOTO_OPENINGS[0] if rng.random() < .6 else PHOTO_OPENINGS[int(rng.integers(1, len(PHOTO_OPENINGS)))]


def captions(rng: np.random.Generator, person: Identity, scene: Scene, celebrity: bool) -> list[str]:
    """VARIANTS captions for one picture: a celebrity is always named, a stranger in every other one."""
    return [caption(rng, person, scene, NAME if celebrity or i % 2 else None) for i in range(VARIANTS)]


def caption(rng: np.random.Generator, person: Identity, scene: Scene, name: str | None) -> str:
    """A caption for one picture; `name` is None for a person whom the caption does not name."""
    bare = rng.random() < (.14 if name is None else .25)
    unnamed_plain = name is None and rng.random() < .13
    who = name or NOUNS[int(rng.choice(4, p=(.35, .25, .20, .20)))]
    odds = .6 if name is None else .5 if rng.random() < .2 else 0.0
    said = [] if unnamed_plain else attributes(rng, person, odds)
    text = f"{opening(rng, scene.style)} {who}"
    if said:
        text += " with " + join(said)
    if bare:
        return text
    comma = "," if said or rng.random() < .3 else ""
    # Short captions too, or words would only be understood where long ones have them.
    fullness = FULLNESS[int(rng.integers(len(FULLNESS)))]
    if rng.random() < fullness:
        text += f"{comma} {scene.expression}"
    worn = []
    if rng.random() < fullness:
        worn.append(f"a {scene.clothes}")
    if scene.headwear != "none" and rng.random() < max(fullness, .8):
        worn.append(f"a {scene.headwear}")
    if worn:
        text += f"{comma} wearing {' and '.join(worn)}"
    if rng.random() < fullness:
        phrases = PLACE_PHRASES[scene.place]
        text += f" {phrases[int(rng.integers(len(phrases)))]}"
    return text
