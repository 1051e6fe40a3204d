"""Neck, shoulders and clothes."""

import numpy as np

from .canvas import Canvas, box, ellipse
from .identity import Identity
from .scene import CLOTHES


def paint_body(canvas: Canvas, person: Identity) -> None:
    """Paints the neck and the scene's clothes over whatever is there."""
    x, y, scene = canvas.x, canvas.y, canvas.scene
    colour = np.array(CLOTHES[scene.clothes], np.float32)
    shoulders = canvas.cover(np.minimum(ellipse(x, y, 0, 1.14, .82, .56), box(x, y, 0, 1.42, .82, .34)))
    neck = canvas.cover(box(x, y, .03 * scene.yaw, .50, person.neck, .24))
    if "hoodie" in scene.clothes:
        canvas.paint_lit(canvas.cover(ellipse(x, y, 0, .60, .46, .22)), colour * .72, x)
    canvas.paint_lit(shoulders, colour, x / .9)
    if "striped" in scene.clothes:
        canvas.paint(shoulders * canvas.cover(np.abs((y * 5) % 1 - .5) / 5 - .05), (.12, .20, .50))
    canvas.paint_lit(neck, person.skin * .84, x / person.neck)
    canvas.paint_lit(canvas.cover(ellipse(x, y, 0, .70, person.neck * 1.05, .09)), person.skin * .84, x)
    if "suit" in scene.clothes:
        canvas.paint(canvas.cover(np.maximum(np.abs(x) + (y - 1.08) * .55, .64 - y)) * shoulders, (.95, .95, .95))
        canvas.paint(canvas.cover(np.maximum(np.abs(x) - .05, .74 - y)), (.70, .08, .10))
    elif "coat" in scene.clothes:
        lapel = np.maximum(np.abs(np.abs(x) - .30 + (y - .68) * .55) - .06, .62 - y)
        canvas.paint(canvas.cover(lapel) * shoulders, colour * .65)
    elif "sweater" in scene.clothes:
        canvas.paint_lit(canvas.cover(box(x, y, 0, .65, person.neck * 1.15, .08)), colour * .80, x)
    elif "hoodie" in scene.clothes:
        for side in (-1, 1):
            canvas.paint(canvas.cover(box(x, y, side * .12, .84, .018, .10)), (1, 1, 1))
