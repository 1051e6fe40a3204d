"""Turns a finished portrait into a pencil sketch, a pop art poster or an oil painting."""

import numpy as np

PAPER = np.array([.97, .95, .90], np.float32)
GRAPHITE = np.array([.16, .16, .20], np.float32)
POP_FIGURE = np.array([[.14, .07, .38], [.88, .12, .46], [.99, .58, .14], [1., .94, .50]], np.float32)
POP_GROUND = np.array([[.05, .45, .62], [.10, .60, .72], [.22, .74, .78], [.40, .86, .84]], np.float32)


def _luma(image):
    return image @ np.array([.30, .55, .15], np.float32)


def _box_mean(array, radius):
    padded = np.pad(array, ((radius, radius), (radius, radius)) + ((0, 0),) * (array.ndim - 2), mode="edge")
    n = 2 * radius + 1
    height, width = array.shape[:2]
    return sum(padded[i:i + height, j:j + width] for i in range(n) for j in range(n)) / (n * n)


def sketch(image, figure):
    """Dark lines and a little grey on paper; the place is only hinted at."""
    grey = _luma(image)
    grey = grey * (.35 + .65 * figure) + .65 * (1 - figure)
    lines = np.hypot(np.gradient(grey, axis=0), np.gradient(grey, axis=1))
    ink = np.clip(lines * 2.8 - .10, 0, 1) + .80 * np.clip(.55 - grey, 0, 1) * figure
    ink = np.clip(ink, 0, 1)[..., None]
    return PAPER * (1 - ink) + GRAPHITE * ink


def pop_art(image, figure):
    """Four flat colours for the person and four for the place."""
    grey = _luma(image)
    inside = grey[figure > .5]
    low, high = np.percentile(inside, (4, 92)) if inside.size else (0, 1)
    level = np.clip((grey - low) / max(high - low, .2), 0, .999)
    rank = np.searchsorted(np.sort(inside), grey) / max(inside.size, 1)
    index = np.clip((.55 * level + .45 * rank) * 4, 0, 3).astype(int)
    ground = POP_GROUND[np.clip(grey * 4, 0, 3).astype(int)]
    mask = figure[..., None]
    return POP_FIGURE[index] * mask + ground * (1 - mask)


def oil(image, figure):
    """Flat warm patches: a Kuwahara filter (the calmest of four neighbourhoods), then fewer tones."""
    radius = 1
    mean = _box_mean(image, radius)
    variance = (_box_mean(image * image, radius) - mean * mean).sum(-1)
    shifts = [(radius, radius), (radius, -radius), (-radius, radius), (-radius, -radius)]
    means = np.stack([np.roll(mean, s, (0, 1)) for s in shifts])
    choice = np.argmin(np.stack([np.roll(variance, s, (0, 1)) for s in shifts]), 0)
    calm = np.take_along_axis(means, choice[None, ..., None], 0)[0]
    calm = .6 * calm + .4 * image
    grey = _luma(calm)[..., None]
    vivid = np.clip(grey + 1.35 * (calm - grey), 0, 1)
    warm = vivid * np.array([1.04, .93, .72], np.float32)
    n = image.shape[0]
    axis = np.linspace(-1, 1, n, dtype=np.float32)
    vignette = np.clip(1.18 - .34 * (axis[:, None] ** 2 + axis[None] ** 2), 0, 1)[..., None]
    return warm * vignette + np.array([.10, .05, .02], np.float32) * (1 - vignette)


FILTERS = {"sketch": sketch, "pop art": pop_art, "oil": oil}
