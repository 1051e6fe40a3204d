"""Draws one picture of one person: place, back hair, body, head, face, hair, glasses, headwear, style."""

import numpy as np

from .body import paint_body
from .canvas import Canvas
from .hair import paint_back_hair, paint_front_hair, paint_headwear
from .head import paint_face, paint_glasses, paint_head
from .identity import Identity
from .places import paint_place
from .scene import Scene
from .styles import FILTERS


def render(person: Identity, scene: Scene, size: int = 64, supersample: int = 2) -> np.ndarray:
    """Returns the picture as uint8 [size, size, 3]; the same arguments always give the same picture."""
    rng = np.random.default_rng(scene.seed)
    canvas = Canvas(size, supersample, scene)
    paint_place(canvas, rng)
    paint_back_hair(canvas, person)
    paint_body(canvas, person)
    head = paint_head(canvas, person)
    paint_face(head)
    paint_front_hair(head)
    paint_glasses(head)
    paint_headwear(head)
    image = np.clip(canvas.shrink(canvas.image) + scene.tint, 0, 1)
    if scene.style in FILTERS:
        image = FILTERS[scene.style](image, canvas.shrink(canvas.figure))
    image = image + rng.normal(size=image.shape) * scene.noise
    return (np.clip(image, 0, 1) * 255 + .5).astype(np.uint8)
