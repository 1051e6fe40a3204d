"""The head and the features on it: eyes, brows, nose, mouth, beard, marks, glasses."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, box, ellipse
from .geometry import Geometry
from .identity import Identity
from .scene import EXPRESSIONS


@dataclass
class Head(Geometry):
    """Where things are on this head in this picture; shared by face, hair and headwear."""

    canvas: Canvas
    distance: np.ndarray
    mask: np.ndarray


def paint_head(canvas: Canvas, person: Identity) -> Head:
    """Paints ears and the bare head and returns its geometry."""
    x, y, scene = canvas.x, canvas.y, canvas.scene
    yaw, fw, fh = scene.yaw, person.face_width, person.face_height
    for side in (-1, 1):
        turn = np.clip(1 - .9 * side * yaw, .3, 1.4)
        ear = ellipse(x, y, side * fw * 1.0 - .10 * yaw, -.02 + scene.pitch * .1, person.ear * .62 * turn, person.ear * 1.2)
        canvas.paint_lit(canvas.cover(ear), person.skin * .92, np.full_like(x, side * .7))
    below = np.clip((y - .02) / fh, -1, 1)
    width = fw * (1 - (1 - person.jaw) * np.clip(below, 0, 1) ** 1.3 + person.cheeks * np.exp(-((below - .25) / .25) ** 2))
    distance = (np.sqrt(((x + .04 * yaw) / width) ** 2 + ((y + .04) / fh) ** 2) - 1) * fw
    mask = canvas.cover(distance)
    canvas.paint_lit(mask, person.skin, (x + .04 * yaw) / width + yaw * .4, (y + .04) / fh * .6)
    return Head(person, scene, canvas, distance, mask)


def paint_face(head: Head) -> None:
    """Paints everything between hairline and chin except hair and glasses."""
    _cheeks(head)
    _beard(head)
    _nose(head)
    _mouth(head)
    for side in (-1, 1):
        _eye(head, side)


def _cheeks(head: Head) -> None:
    canvas, person = head.canvas, head.person
    x, y = canvas.x, canvas.y
    blush = np.clip(person.skin * np.array([1.06, .78, .76]), 0, 1)
    for side in (-1, 1):
        spot = canvas.cover(ellipse(x, y, head.place(side * .27), .17 + head.face_y, .11, .085), .10)
        canvas.paint(spot * head.mask, blush, .25 + person.blush)
    if person.freckles:
        for fx, fy in ((-.30, .10), (-.22, .15), (-.15, .10), (.15, .11), (.22, .16), (.30, .10), (-.26, .20), (.26, .21)):
            dot = canvas.cover(np.hypot(x - head.place(fx), y - fy - head.face_y) - .020)
            canvas.paint(dot * head.mask, person.skin * .62, .8)
    if person.mole:
        dot = canvas.cover(np.hypot(x - head.place(person.mole[0]), y - person.mole[1] - head.face_y) - .030)
        canvas.paint(dot * head.mask, person.skin * .25)


def _beard(head: Head) -> None:
    canvas, person = head.canvas, head.person
    x, y = canvas.x, canvas.y
    mouth_y = person.mouth_height + head.face_y
    hair = person.hair * .92
    if person.beard in ("full", "stubble"):
        top = .13 + .12 * np.exp(-((x - head.face_x) / .24) ** 2) + head.face_y
        if person.beard == "full":
            grown = np.maximum(ellipse(x, y, head.place(0, .3), .20, person.face_width * 1.0, person.face_height * .76), top - y)
            canvas.paint_lit(canvas.cover(grown), hair, (x - head.face_x) / person.face_width)
        else:
            mask = canvas.cover(np.maximum(head.distance, top - y), .05)
            canvas.paint(mask, person.skin * .45 + person.hair * .25, .55)
    if person.beard == "goatee":
        goatee = canvas.cover(ellipse(x, y, head.place(0), mouth_y + .17, .115, .125))
        canvas.paint_lit(goatee, hair, x)


def _moustache(head: Head, mouth_x: float, mouth_y: float) -> None:
    canvas, person = head.canvas, head.person
    if person.beard not in ("moustache", "full", "goatee"):
        return
    thick = .042 if person.beard == "moustache" else .026
    u = np.abs(canvas.x - mouth_x) / .19
    line = mouth_y - person.lip_thickness - .045 + .035 * u ** 2
    shape = canvas.cover(np.abs(canvas.y - line) - thick * np.sqrt(np.clip(1.1 - u ** 2, 0, 1)))
    canvas.paint(shape * (u < 1.05), person.hair * .85)


def _nose(head: Head) -> None:
    canvas, person, scene = head.canvas, head.person, head.canvas.scene
    x, y, skin = canvas.x, canvas.y, person.skin
    bridge = person.eye_height + head.face_y + .02
    tip_x, tip_y = head.nose_tip()
    side = -np.sign(scene.light) if scene.light else 1.0
    slope = np.clip((y - bridge) / person.nose_length, 0, 1)
    ridge_x = head.place(0, 1.1) + (tip_x - head.place(0, 1.1)) * slope
    shadow = np.maximum(np.abs(x - ridge_x - side * (.030 + .4 * person.nose_width * slope)) - .022,
                        np.abs(y - (bridge + tip_y) / 2) - person.nose_length / 2)
    canvas.paint(canvas.cover(shadow, .03) * head.mask, skin * .76, .6)
    canvas.paint(canvas.cover(ellipse(x, y, tip_x, tip_y, person.nose_width, .062)), skin * .84)
    canvas.paint(canvas.cover(ellipse(x, y, tip_x, tip_y - .016, person.nose_width * .82, .048)), np.clip(skin * 1.04, 0, 1))
    for nostril in (-1, 1):
        hole = ellipse(x, y, tip_x + nostril * person.nose_width * .5, tip_y + .032, person.nose_width * .28, .018)
        canvas.paint(canvas.cover(hole), skin * .38, .9)


def _mouth(head: Head) -> None:
    canvas, person, scene = head.canvas, head.person, head.canvas.scene
    x, y, skin = canvas.x, canvas.y, person.skin
    curve, opening, _, _ = EXPRESSIONS[scene.expression]
    centre_x, centre_y, half = head.mouth()
    u = (x - centre_x) / half
    line = head.mouth_line(u)
    thick = person.lip_thickness * np.sqrt(np.clip(1 - u ** 2, 0, 1))
    natural = np.clip(skin * np.array([.88, .55, .55]), 0, 1)
    lips = natural * (1 - person.lipstick) + np.array([.82, .10, .18]) * person.lipstick
    inside = (np.abs(u) < 1)
    _moustache(head, centre_x, centre_y)
    if opening:
        drop = .085 * opening
        hole = np.sqrt(np.clip(1 - u ** 2, 0, 1)) * drop
        canvas.paint(canvas.cover(np.abs(y - line - drop * .5) - hole - thick) * inside, lips)
        gap = canvas.cover(np.abs(y - line - drop * .5) - hole) * inside
        canvas.paint(gap, (.22, .04, .06))
        if curve > 0:
            canvas.paint(gap * canvas.cover(y - line - drop * .35), (.97, .96, .93))
        else:
            canvas.paint(gap * canvas.cover(line + drop * 1.1 - y), (.75, .25, .28))
    else:
        canvas.paint(canvas.cover(np.abs(y - line) - thick) * inside, lips)
        if curve > 0:
            canvas.paint(canvas.cover(np.abs(y - line) - thick * .45) * (np.abs(u) < .85), (.97, .96, .93))
        else:
            canvas.paint(canvas.cover(np.abs(y - line) - .010) * inside, lips * .40)


def _eye(head: Head, side: int) -> None:
    canvas, person, scene = head.canvas, head.person, head.canvas.scene
    x, y = canvas.x, canvas.y
    curve, opening, lift, slant = EXPRESSIONS[scene.expression]
    eye_x, eye_y = head.eye(side)
    half = person.eye_size * np.cos(scene.yaw * .5)
    wide = 1.3 if scene.expression == "surprised" else .8 if scene.expression in ("laughing", "angry") else 1.0
    tall = person.eye_size * min(person.eye_openness * wide, .95)
    dx = x - eye_x
    dy = y - eye_y + dx * person.eye_tilt * side
    outline = (np.sqrt((dx / half) ** 2 + (dy / tall) ** 2) - 1) * tall
    white = canvas.cover(outline)
    canvas.paint(canvas.cover(outline - .028, .04) * head.mask, person.skin * .74, .55)
    canvas.paint(white, (.98, .98, .97))
    gaze_x = eye_x + .03 * scene.yaw
    from_gaze = np.hypot(x - gaze_x, y - eye_y)
    canvas.paint(white * canvas.cover(from_gaze - .064), person.iris)
    canvas.paint(white * canvas.cover(from_gaze - .030), (.02, .02, .03))
    canvas.paint(white * canvas.cover(np.hypot(x - gaze_x + .024, y - eye_y + .026) - .016), (1, 1, 1))
    lid = canvas.cover(np.abs(outline) - (.020 if person.lashes else .011)) * (dy < .01)
    canvas.paint(lid, (.10, .06, .05))
    if person.lashes:
        flick = np.abs(dy + .02 + (dx * side - half) * .9) - .014
        canvas.paint(canvas.cover(np.maximum(flick, np.abs(dx * side - half - .015) - .03)), (.10, .06, .05))
    _brow(head, side, eye_x, eye_y - person.brow_height - lift, slant)


def _brow(head: Head, side: int, centre_x: float, brow_y: float, slant: float) -> None:
    canvas, person = head.canvas, head.person
    q = (canvas.x - centre_x) * side
    line = brow_y + (slant - person.brow_tilt * .6) * q + 1.2 * q * q
    length = .135 * np.cos(canvas.scene.yaw * .6)
    taper = np.clip(1.15 - .4 * np.maximum(q, 0) / length, .4, 1.2)
    shape = canvas.cover(np.abs(canvas.y - line) - person.brow_thickness * taper) * canvas.cover(np.abs(q) - length)
    colour = person.hair * .62 if person.hair.mean() < .75 else person.hair * .78
    canvas.paint(shape, colour)


def paint_glasses(head: Head) -> None:
    """Paints the person's glasses, if any, over face and fringe."""
    canvas, person = head.canvas, head.person
    if person.glasses == "none":
        return
    x, y = canvas.x, canvas.y
    turn = np.cos(canvas.scene.yaw * .5)
    middle_y = person.eye_height + head.face_y + .01
    for side in (-1, 1):
        centre = head.place(side * (person.eye_distance + .005), 1.05)
        if person.glasses == "round":
            lens = np.hypot((x - centre) / turn, y - middle_y) - .150
        else:
            lens = box(x, y, centre, middle_y, .152 * turn, .115)
        if person.glasses == "sun":
            canvas.paint(canvas.cover(lens), (.06, .06, .09))
            canvas.paint(canvas.cover(ellipse(x, y, centre - .05, middle_y - .05, .05, .025)), (.45, .5, .6), .8)
        else:
            canvas.paint(canvas.cover(lens), (.85, .92, 1.), .12)
            canvas.paint(canvas.cover(np.abs(lens) - .019), person.frame)
    frame = (.06, .06, .09) if person.glasses == "sun" else person.frame
    canvas.paint(canvas.cover(box(x, y, head.place(0, 1.05), middle_y - .02, .05, .017)), frame)
