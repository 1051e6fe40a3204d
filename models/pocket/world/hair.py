"""Hair behind and in front of the head, and what is worn on it."""

import numpy as np

from .canvas import Canvas, box, ellipse
from .head import Head
from .identity import Identity


def paint_back_hair(canvas: Canvas, person: Identity) -> None:
    """Paints the hair that lies behind head and neck."""
    x, y, yaw = canvas.x, canvas.y, canvas.scene.yaw
    fw, fh, volume = person.face_width, person.face_height, person.hair_volume
    centre = -.08 * yaw
    style = person.hair_style
    if style == "long":
        shape = np.maximum(np.minimum(ellipse(x, y, centre, -.05, fw * 1.30 * volume, fh * 1.16),
                                      box(x, y, centre, .42, fw * 1.28 * volume, .44)), y - .84)
    elif style == "bob":
        shape = np.maximum(np.minimum(ellipse(x, y, centre, -.08, fw * 1.36 * volume, fh * 1.10),
                                      box(x, y, centre, .15, fw * 1.34 * volume, .25)), y - .36)
    elif style == "curly":
        angle = np.arctan2(y + .18, x - centre)
        shape = ellipse(x, y, centre, -.18, fw * 1.42 * volume, fh * 1.08 * volume) + .028 * np.cos(angle * 15)
    elif style == "bun":
        shape = ellipse(x, y, centre * 2, -.69, .22 * volume, .165 * volume)
    elif style == "braids":
        wave = .022 * np.cos(y * 26)
        left = box(x, y, -fw * 1.12 + centre, .42, .085 + wave, .44)
        right = box(x, y, fw * 1.12 + centre, .42, .085 + wave, .44)
        shape = np.minimum(left, right)
    else:
        return
    canvas.paint_lit(canvas.cover(shape), person.hair * .86, (x - centre) / fw)
    if style == "braids":
        for side in (-1, 1):
            tie = box(x, y, side * fw * 1.12 + centre, .66, .08, .035)
            canvas.paint(canvas.cover(tie), (.85, .15, .25))


def paint_front_hair(head: Head) -> None:
    """Paints the hair on top of the head down to the hairline, with a highlight."""
    canvas, person = head.canvas, head.person
    x, y, yaw = canvas.x, canvas.y, canvas.scene.yaw
    fw, fh, volume = person.face_width, person.face_height, person.hair_volume
    style = person.hair_style
    if style == "bald":
        shine = canvas.cover(ellipse(x, y, head.face_x * .5 + .12 * canvas.scene.light, -.46, .13, .06), .05)
        canvas.paint(shine * head.mask, (1, 1, 1), .30)
        return
    hairline = -fh - .04 + person.forehead * .62 + head.face_y * .6
    u = (x - head.face_x * .5) / fw
    centre = -.03 * yaw
    top = -.08

    def cap(width, height):
        return ellipse(x, y, centre, top, fw * width * volume, fh * height * volume)

    if style == "short":
        shape = np.maximum(cap(1.07, .99), y - (hairline + .12 + .34 * u ** 2))
    elif style == "parted":
        shape = np.maximum(cap(1.13, 1.05), y - (hairline + .15 + .22 * u + .34 * u ** 2))
    elif style == "long":
        shape = np.maximum(cap(1.16, 1.03), y - (hairline + .05 + .85 * np.abs(u) ** 1.7))
    elif style == "bob":
        shape = np.maximum(cap(1.18, 1.05), y - (hairline + .26 + .8 * np.abs(u) ** 7))
    elif style == "curly":
        angle = np.arctan2(y + .18, x - centre)
        shape = np.maximum(cap(1.22, 1.06) + .022 * np.cos(angle * 15),
                           y - (hairline + .16 + .26 * u ** 2 + .03 * np.cos(x * 24)))
    elif style == "mohawk":
        crest = box(x, y, head.face_x * .4, -.56, .14 * volume, .25)
        shape = np.maximum(crest, y - (hairline + .16))
    elif style == "bun":
        shape = np.maximum(cap(1.06, .99), y - (hairline + .08 + .50 * u ** 2))
    elif style == "spiky":
        teeth = .14 * np.abs(((x - centre) / .24 * 1.0) % 1 - .5) * 2
        shape = np.maximum(cap(1.08, 1.16) + teeth - .05, y - (hairline + .12 + .30 * u ** 2))
    else:
        shape = np.maximum(cap(1.08, 1.0), y - (hairline + .04 + .62 * np.abs(u) ** 1.5))
    mask = canvas.cover(shape)
    canvas.paint_lit(mask, person.hair, u)
    shine = canvas.cover(np.abs(np.hypot(u * .9 - .1 * canvas.scene.light, (y - top) / fh) - .88) - .05, .08)
    canvas.paint(shine * mask, np.clip(person.hair * 1.35 + .10, 0, 1), .45)


def paint_headwear(head: Head) -> None:
    """Paints the scene's hat or crown."""
    canvas, person, worn = head.canvas, head.person, head.canvas.scene.headwear
    x, y = canvas.x, canvas.y
    fw, fh = person.face_width, person.face_height
    brim_y = -fh + .16 + head.face_y * .5
    centre = -.03 * canvas.scene.yaw
    if worn == "hat":
        dome = np.maximum(ellipse(x, y, centre, brim_y, fw * 1.16, .34), y - brim_y)
        canvas.paint_lit(canvas.cover(dome), (.45, .22, .60), (x - centre) / fw)
        canvas.paint_lit(canvas.cover(box(x, y, centre, brim_y - .05, fw * 1.14, .05)), (.95, .80, .25), (x - centre) / fw)
        canvas.paint_lit(canvas.cover(box(x, y, centre, brim_y + .02, fw * 1.55, .042)), (.38, .17, .52), (x - centre) / fw)
    elif worn == "crown":
        teeth = .16 * np.abs(((x - centre) / (fw * .42) + .5) % 1 - .5) * 2
        crown = np.maximum(np.abs(x - centre) - fw * 1.03, np.maximum(y - brim_y - .02, brim_y - .30 + teeth - y))
        canvas.paint_lit(canvas.cover(crown), (1.0, .80, .16), (x - centre) / fw)
        for at in (-.42, 0, .42):
            jewel = np.hypot(x - centre - at * fw * 2 * .8, y - brim_y + .07) - .04
            canvas.paint(canvas.cover(jewel), (.85, .10, .20))
