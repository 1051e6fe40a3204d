"""Where the features of a face are: what painting them and pointing at them have in common.

Positions are in head coordinates (see canvas.py) unless a function says otherwise.
"""

from dataclasses import dataclass

import numpy as np

from .identity import Identity
from .scene import EXPRESSIONS, Scene

FOREHEAD = .80      # how far up the head a face's box reaches; hair or a hat covers the rest


@dataclass
class Geometry:
    """One person's face in one scene."""

    person: Identity
    scene: Scene

    @property
    def face_x(self) -> float:
        """How far the turn of the head moves the face to the side."""
        return .20 * self.scene.yaw

    @property
    def face_y(self) -> float:
        """How far a nod moves the face down."""
        return .14 * self.scene.pitch

    def place(self, x: float, depth: float = 1.0) -> float:
        """Horizontal position of a feature at `x` on the unturned face after the turn of the head."""
        return x * np.cos(self.scene.yaw * .75) + self.face_x * depth

    def eye(self, side: int) -> tuple[float, float]:
        """Middle of the eye at the picture's left (-1) or right (1)."""
        return self.place(side * self.person.eye_distance), self.person.eye_height + self.face_y

    def nose_tip(self) -> tuple[float, float]:
        """Tip of the nose."""
        return self.place(0, 1.4), self.person.eye_height + self.face_y + .02 + self.person.nose_length

    def mouth(self) -> tuple[float, float, float]:
        """Middle of the mouth and half its width."""
        person, scene = self.person, self.scene
        curve = EXPRESSIONS[scene.expression][0]
        half = person.mouth_width * (1 + .18 * max(curve, 0) - .25 * (scene.expression == "surprised")) * np.cos(scene.yaw * .75)
        return self.place(0, 1.1), person.mouth_height + self.face_y, half

    def mouth_line(self, u):
        """Height of the line between the lips at `u`, -1 at one corner and 1 at the other."""
        curve = EXPRESSIONS[self.scene.expression][0]
        return self.person.mouth_height + self.face_y - .075 * curve * (u ** 2 - .35)

    def points(self) -> np.ndarray:
        """The five points of a face, [5, 2] as shares of the picture's side: left eye, right eye, nose, left and
        right corner of the mouth, left and right as the picture shows them."""
        x, _, half = self.mouth()
        corners = [(x + side * half, self.mouth_line(1.0)) for side in (-1, 1)]
        return self._in_picture(np.array([self.eye(-1), self.eye(1), self.nose_tip(), *corners]))

    def box(self) -> np.ndarray:
        """The face from forehead to chin without ears: x, y, width, height as shares of the picture's side."""
        person, angle = self.person, np.linspace(0, 2 * np.pi, 72)
        x = -.04 * self.scene.yaw + person.face_width * np.cos(angle)
        y = -.04 + person.face_height * np.maximum(np.sin(angle), -FOREHEAD)
        outline = self._in_picture(np.stack([x, y], 1))
        corner = outline.min(0)
        return np.concatenate([corner, outline.max(0) - corner])

    def _in_picture(self, at: np.ndarray) -> np.ndarray:
        """Head coordinates [N, 2] as shares of the picture's side: the way back of what Canvas does."""
        scene = self.scene
        cos, sin = np.cos(scene.roll), np.sin(scene.roll)
        turned = at @ np.array([[cos, sin], [-sin, cos]]) * scene.scale
        return ((turned + scene.shift + 1) / 2).astype(np.float32)
