"""A person as a vector of numbers: what name words are made of while the model is trained.

Lengths, slopes and colours are counted in standard deviations over strangers; each choice (hair style,
beard, ...) is one number an option, its odds taken off and divided by their deviation. So every
number has mean 0 and variance 1 over the world's people.
"""

from functools import cache

import numpy as np

from .identity import (BEARDS, EYE_COLOURS, FRAME_COLOURS, GLASSES, HAIR_COLOURS, HAIR_STYLES, UNNAMED_SEED, Identity,
                       draw_identity)

LENGTHS = ("tone hair_volume forehead face_width face_height jaw cheeks eye_distance eye_size eye_openness eye_tilt "
           "eye_height lashes brow_thickness brow_tilt brow_height nose_length nose_width mouth_width mouth_height "
           "lip_thickness lipstick ear neck freckles blush").split()
CHOICES = {"hair_style": HAIR_STYLES, "hair_colour": tuple(HAIR_COLOURS), "beard": BEARDS, "glasses": GLASSES,
           "frame": FRAME_COLOURS, "eye_colour": tuple(EYE_COLOURS)}
SAMPLE = 4000


def _raw(person: Identity) -> np.ndarray:
    """The numbers before they are brought to one scale."""
    mole = person.mole or (0.0, 0.0)
    numbers = [float(getattr(person, name)) for name in LENGTHS]
    numbers += [*person.skin.tolist(), *person.hair.tolist(), float(person.mole is not None), *mole]
    chosen = [float(getattr(person, name) == option) for name, options in CHOICES.items() for option in options]
    return np.array(numbers + chosen, np.float32)


@cache
def _scale() -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of every number over strangers."""
    rows = np.stack([_raw(draw_identity(UNNAMED_SEED + i)) for i in range(SAMPLE)])
    return rows.mean(0), rows.std(0)


def features(person: Identity) -> np.ndarray:
    """One person as float32 [F]."""
    mean, deviation = _scale()
    return (_raw(person) - mean) / deviation
