"""Everything about one picture that is not the person: pose, expression, light, place, clothes, style."""

from dataclasses import dataclass

import numpy as np

EXPRESSIONS = {          # mouth curve, mouth opening, brow lift, brow slant towards the nose
    "serious": (-.10, 0, 0, 0), "smiling": (1, 0, 0, 0), "laughing": (1, 1, .02, 0),
    "sad": (-1, 0, .01, .35), "surprised": (0, .9, .06, 0), "angry": (-.7, 0, -.02, -.45),
}
PLACES = ("wall", "beach", "forest", "city", "curtain", "snow", "sunset", "field")
CLOTHES = {
    "red shirt": (.80, .12, .13), "blue shirt": (.15, .30, .75), "white shirt": (.93, .93, .93),
    "black suit": (.09, .09, .12), "green sweater": (.10, .48, .22), "yellow hoodie": (.95, .78, .12),
    "striped shirt": (.95, .95, .95), "grey coat": (.45, .47, .52),
}
STYLES = ("photo", "sketch", "pop art", "oil")
HEADWEAR = ("none", "hat", "crown")


@dataclass(frozen=True)
class Scene:
    """One picture's circumstances. Angles in radians, shifts in units of half the picture's side."""

    style: str
    expression: str
    place: str
    clothes: str
    headwear: str
    yaw: float
    pitch: float
    roll: float
    scale: float
    shift: tuple[float, float]
    light: float
    light_strength: float
    brightness: float
    tint: np.ndarray
    noise: float
    seed: int


def draw_scene(rng: np.random.Generator, style: str | None = None, headwear: str | None = None) -> Scene:
    """Draws circumstances at random; `style` and `headwear` may be fixed."""
    uniform = rng.uniform
    drawn_style = STYLES[int(rng.choice(4, p=(.70, .10, .10, .10)))]
    drawn_headwear = HEADWEAR[int(rng.choice(3, p=(.84, .10, .06)))]
    expressions = tuple(EXPRESSIONS)
    return Scene(
        style=style or drawn_style, headwear=headwear or drawn_headwear,
        expression=expressions[int(rng.choice(6, p=(.24, .28, .14, .12, .11, .11)))],
        place=PLACES[int(rng.integers(len(PLACES)))], clothes=tuple(CLOTHES)[int(rng.integers(len(CLOTHES)))],
        yaw=float(np.clip(rng.normal() * .25, -.6, .6)), pitch=float(np.clip(rng.normal() * .10, -.2, .2)),
        roll=float(np.clip(rng.normal() * .06, -.12, .12)), scale=uniform(1.06, 1.19),
        shift=(uniform(-.05, .05), uniform(.01, .07)), light=uniform(-1, 1), light_strength=uniform(.08, .32),
        brightness=uniform(.92, 1.06), tint=(rng.normal(size=3) * .015).astype(np.float32),
        noise=uniform(0, .006), seed=int(rng.integers(1 << 31)),
    )
