"""Backgrounds. Low frequencies only: at 64 pixels, random fine texture can be neither stored nor learned."""

import numpy as np

from .canvas import Canvas, smooth_noise


def _rgb(canvas: Canvas, colour) -> np.ndarray:
    return np.broadcast_to(np.asarray(colour, np.float32), (canvas.pixels, canvas.pixels, 3)).copy()


def _wall(canvas, rng, noise):
    return _rgb(canvas, (.76, .73, .67)) + .015 * noise - .06 * canvas.frame_y[..., None]


def _beach(canvas, rng, noise):
    y = canvas.frame_y[..., None]
    sky = np.array([.45, .74, .98], np.float32) + np.float32(.18) * (y + 1) * np.array([1, .6, .1], np.float32)
    sea, sand = np.array([.05, .48, .66], np.float32), np.array([.95, .86, .60], np.float32) + .015 * noise
    return np.where(y < -.12, sky, np.where(y < .28, sea, sand))


def _forest(canvas, rng, noise):
    image = np.array([.16, .42, .18], np.float32) + .05 * noise * np.array([.7, 1, .5], np.float32)
    for centre in (-.85, -.5, .55, .88):
        trunk = np.abs(canvas.frame_x - centre - rng.uniform(-.06, .06)) < .07
        image[trunk & (canvas.frame_y > -.75)] = (.33, .22, .13)
    image[canvas.frame_y < -.72] = (.10, .30, .13)
    return image


def _city(canvas, rng, noise):
    image = _rgb(canvas, (.06, .07, .20))
    column = np.clip(((canvas.frame_x + 1) * 3.5).astype(int), 0, 6)
    roof = np.array([-.55, -.2, -.75, -.4, -.65, -.25, -.6], np.float32) + rng.uniform(-.06, .06, 7)
    building = canvas.frame_y > roof[column]
    image[building] = (.13, .13, .24)
    inside_x = np.abs((canvas.frame_x + 1) * 7 % 1 - .5) < .26
    inside_y = np.abs((canvas.frame_y + 1) * 5 % 1 - .5) < .25
    image[building & inside_x & inside_y & (canvas.frame_y > roof[column] + .08)] = (.98, .86, .40)
    moon = np.hypot(canvas.frame_x - .72, canvas.frame_y + .82) < .10
    image[moon] = (.96, .95, .82)
    return image


def _curtain(canvas, rng, noise):
    folds = 1 + .32 * np.sin(canvas.frame_x * 15 + .4 * noise[..., 0])
    return np.array([.66, .06, .10], np.float32) * folds[..., None]


def _snow(canvas, rng, noise):
    y = canvas.frame_y
    image = np.where((y < .1)[..., None], np.array([.72, .82, .93], np.float32), np.array([.97, .98, 1.], np.float32))
    hill = (y > .1 - .22 * np.cos((canvas.frame_x - .6) * 2.2))
    image[hill] = (.97, .98, 1.)
    for _ in range(12):
        image[np.hypot(canvas.frame_x - rng.uniform(-1, 1), y - rng.uniform(-1, .2)) < .045] = (1, 1, 1)
    return image


def _sunset(canvas, rng, noise):
    t = np.clip((canvas.frame_y[..., None] + 1) / 1.5, 0, 1)
    image = np.array([.42, .20, .52], np.float32) * (1 - t) + np.array([1., .58, .18], np.float32) * t
    image[np.hypot(canvas.frame_x + .62, canvas.frame_y - .12) < .20] = (1., .93, .55)
    image[canvas.frame_y > .45] = (.28, .13, .25)
    return image


def _field(canvas, rng, noise):
    y = canvas.frame_y
    image = np.where((y < .05)[..., None], np.array([.52, .78, .97], np.float32),
                     np.array([.42, .72, .24], np.float32) + .02 * noise)
    for centre_x, centre_y in ((-.65, -.70), (.62, -.55)):
        dx = canvas.frame_x - centre_x - rng.uniform(-.12, .12)
        image[(dx / .28) ** 2 + ((y - centre_y) / .11) ** 2 < 1] = (.98, .99, 1.)
    return image


PAINTERS = {"wall": _wall, "beach": _beach, "forest": _forest, "city": _city,
            "curtain": _curtain, "snow": _snow, "sunset": _sunset, "field": _field}


def paint_place(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fills the canvas with the scene's place."""
    noise = smooth_noise(rng, canvas.pixels, 3)[..., None]
    canvas.image = np.ascontiguousarray(PAINTERS[canvas.scene.place](canvas, rng, noise), np.float32)
