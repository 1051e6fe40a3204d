"""A float RGB picture with soft-edged shapes: what the rest of the world draws with.

Shapes are signed distances (negative inside) in picture units, x to the right and y down, the picture
spanning -1..1. Frame coordinates (`frame_x`, `frame_y`) are fixed; head coordinates (`x`, `y`) follow
the scene's shift, roll and scale.
"""

import numpy as np

from .scene import Scene


def ellipse(x, y, centre_x, centre_y, radius_x, radius_y):
    """Approximate signed distance to an ellipse."""
    r = np.sqrt(((x - centre_x) / radius_x) ** 2 + ((y - centre_y) / radius_y) ** 2)
    return (r - 1) * min(radius_x, radius_y)


def box(x, y, centre_x, centre_y, half_width, half_height):
    """Signed distance to an axis-aligned box (Chebyshev)."""
    return np.maximum(np.abs(x - centre_x) - half_width, np.abs(y - centre_y) - half_height)


def smooth_noise(rng: np.random.Generator, size: int, cells: int, octaves: int = 2) -> np.ndarray:
    """Value noise of about unit deviation, `cells` bumps across, at any picture size."""
    out = np.zeros((size, size), np.float32)
    amplitude = 1.0
    for octave in range(octaves):
        n = cells * 2 ** octave + 2
        grid = rng.normal(size=(n, n)).astype(np.float32)
        t = np.linspace(0, n - 1.001, size)
        i = t.astype(int)
        f = (t - i).astype(np.float32)
        f = f * f * (3 - 2 * f)
        top = grid[np.ix_(i, i)] * (1 - f) + grid[np.ix_(i, i + 1)] * f
        low = grid[np.ix_(i + 1, i)] * (1 - f) + grid[np.ix_(i + 1, i + 1)] * f
        out += amplitude * (top * (1 - f)[:, None] + low * f[:, None])
        amplitude *= .5
    return out


class Canvas:
    """A picture being painted, `supersample` times larger than the result."""

    def __init__(self, size: int, supersample: int, scene: Scene):
        self.size, self.supersample, self.scene = size, supersample, scene
        self.pixels = size * supersample
        axis = ((np.arange(self.pixels) + .5) / self.pixels * 2 - 1).astype(np.float32)
        self.frame_x, self.frame_y = np.meshgrid(axis, axis)
        dx, dy = self.frame_x - scene.shift[0], self.frame_y - scene.shift[1]
        cos, sin = np.cos(scene.roll), np.sin(scene.roll)
        self.x = ((dx * cos + dy * sin) / scene.scale).astype(np.float32)
        self.y = ((-dx * sin + dy * cos) / scene.scale).astype(np.float32)
        self.edge = np.float32(1.2 / 64)
        self.image = np.zeros((self.pixels, self.pixels, 3), np.float32)
        self.figure = np.zeros((self.pixels, self.pixels), np.float32)

    def cover(self, distance, width=None) -> np.ndarray:
        """Coverage 0..1 of a shape; `width` is how soft its edge is (default: about one picture pixel)."""
        return np.clip(.5 - np.asarray(distance, np.float32) / np.float32(width or self.edge), 0, 1)

    def paint(self, mask, colour, alpha=1.0) -> None:
        """Paints a flat colour, or an image of colours, through a mask."""
        m = (mask * np.float32(alpha))[..., None]
        self.image += m * (np.asarray(colour, np.float32) - self.image)

    def paint_lit(self, mask, colour, normal_x, normal_y=0.0) -> None:
        """Paints a colour lit from the scene's side; also marks the mask as part of the figure."""
        scene = self.scene
        strength = scene.light_strength
        facing = np.clip(normal_x * scene.light - normal_y * .35 + .45, 0, 1.4)
        lit = scene.brightness * (1 - .5 * strength + strength * facing)
        self.paint(mask, np.clip(np.asarray(colour, np.float32) * np.asarray(lit, np.float32)[..., None], 0, 1))
        np.maximum(self.figure, mask, out=self.figure)

    def shrink(self, array: np.ndarray) -> np.ndarray:
        """Averages a canvas-sized array down to the picture's size."""
        s, n = self.supersample, self.size
        return array.reshape(n, s, n, s, *array.shape[2:]).mean((1, 3))
