"""Who someone is: about forty numbers that stay the same in every picture of that person.

Lengths are in units of half the picture's side, angles are slopes, colours are RGB in 0..1.
Seeds are split into ranges so that no two uses of the world ever share a person:

    named people (celebrities)     10_000 + index
    training pictures, unnamed     1_000_000 ..
    people for judges to train on  3_000_000 ..
    unseen test people             7_000_000 ..
"""

from dataclasses import dataclass

import numpy as np

CELEBRITY_SEED = 10_000
UNNAMED_SEED = 1_000_000
JUDGE_SEED = 3_000_000
TEST_SEED = 7_000_000

HAIR_STYLES = ("bald", "short", "parted", "long", "bob", "curly", "mohawk", "bun", "spiky", "braids")
HAIR_STYLE_ODDS = (.09, .13, .12, .14, .11, .12, .06, .08, .08, .07)
HAIR_COLOURS = {
    "black": (.07, .055, .06), "brown": (.36, .20, .10), "blond": (.88, .70, .34), "red": (.70, .24, .08),
    "grey": (.56, .57, .60), "white": (.93, .92, .90), "blue": (.16, .32, .75), "pink": (.93, .42, .62),
}
HAIR_COLOUR_ODDS = (.24, .22, .17, .15, .08, .06, .04, .04)
EYE_COLOURS = {
    "brown": (.34, .19, .08), "blue": (.16, .44, .80), "green": (.18, .52, .25), "dark": (.08, .06, .05),
    "grey": (.48, .52, .56),
}
BEARDS = ("none", "stubble", "goatee", "full", "moustache")
BEARD_ODDS = (.58, .08, .10, .14, .10)
GLASSES = ("none", "round", "square", "sun")
GLASSES_ODDS = (.64, .14, .12, .10)
FRAME_COLOURS = ((.05, .05, .06), (.55, .10, .10), (.60, .45, .15))


@dataclass(frozen=True)
class Identity:
    """One person. See `draw_identity` for the ranges."""

    tone: float
    skin: np.ndarray
    hair_style: str
    hair_colour: str
    hair: np.ndarray
    hair_volume: float
    forehead: float
    beard: str
    glasses: str
    frame: tuple
    eye_colour: str
    iris: tuple
    face_width: float
    face_height: float
    jaw: float
    cheeks: float
    eye_distance: float
    eye_size: float
    eye_openness: float
    eye_tilt: float
    eye_height: float
    lashes: bool
    brow_thickness: float
    brow_tilt: float
    brow_height: float
    nose_length: float
    nose_width: float
    mouth_width: float
    mouth_height: float
    lip_thickness: float
    lipstick: float
    ear: float
    neck: float
    mole: tuple | None
    freckles: bool
    blush: float


def skin_word(tone: float) -> str:
    """The word captions use for a skin tone in 0 (lightest) .. 1 (darkest)."""
    return ("pale", "light", "tan", "brown", "dark")[min(int(tone * 5), 4)]


def draw_identity(seed: int) -> Identity:
    """Draws the person that belongs to `seed`; the same seed always gives the same person."""
    rng = np.random.default_rng(seed)
    uniform = rng.uniform

    def spread(scale: float) -> float:
        return float(np.clip(rng.normal(), -2, 2) * scale)

    def pick(options, odds):
        return options[int(rng.choice(len(options), p=odds))]

    tone = float(uniform())
    undertone = uniform(-1, 1)
    light, dark = np.array([.98, .84, .74]), np.array([.36, .22, .15])
    skin = np.clip(light * (1 - tone) + dark * tone + undertone * np.array([.02, 0, -.03]), 0, 1)
    hair_colour = pick(tuple(HAIR_COLOURS), HAIR_COLOUR_ODDS)
    hair = np.clip(np.array(HAIR_COLOURS[hair_colour]) * uniform(.85, 1.15), 0, 1)
    eye_colour = pick(tuple(EYE_COLOURS), (.3, .25, .15, .18, .12))
    return Identity(
        tone=tone, skin=skin.astype(np.float32),
        hair_style=pick(HAIR_STYLES, HAIR_STYLE_ODDS), hair_colour=hair_colour, hair=hair.astype(np.float32),
        hair_volume=1 + spread(.045), forehead=uniform(.12, .29),
        beard=pick(BEARDS, BEARD_ODDS), glasses=pick(GLASSES, GLASSES_ODDS),
        frame=FRAME_COLOURS[int(rng.integers(3))],
        eye_colour=eye_colour, iris=EYE_COLOURS[eye_colour],
        face_width=.435 + spread(.036), face_height=.575 + spread(.036), jaw=.76 + spread(.11),
        cheeks=spread(.05), eye_distance=.195 + spread(.017), eye_size=.108 + spread(.012),
        eye_openness=.66 + spread(.10), eye_tilt=spread(.15), eye_height=-.05 + spread(.025),
        lashes=bool(rng.random() < .4), brow_thickness=.026 + abs(spread(.015)), brow_tilt=spread(.25),
        brow_height=.165 + spread(.018), nose_length=.215 + spread(.032), nose_width=.092 + spread(.022),
        mouth_width=.175 + spread(.028), mouth_height=.325 + spread(.02), lip_thickness=.034 + spread(.010),
        lipstick=float(uniform(.2, .9) if rng.random() < .35 else 0), ear=.115 + spread(.024),
        neck=.20 + spread(.03), mole=(uniform(-.26, .26), uniform(.08, .30)) if rng.random() < .2 else None,
        freckles=bool(rng.random() < .15), blush=float(uniform(0, .4)),
    )
