"""Draws training pictures in parallel while the networks already learn from the first of them.

Every group (seeds.py) is a folder of raw arrays in a scratch folder, filled from the front by many
processes and read by one; `ready` says which rows are there. This file imports no torch, so that
processes that draw start at once.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from world.canvas import Canvas
from world.captions import caption
from world.geometry import Geometry
from world.identity import draw_identity
from world.places import paint_place
from world.portrait import render
from world.scene import draw_scene

from . import seeds
from .facts import claimed_facts, true_facts

LARGE, SMALL = 128, 64      # sides of stored pictures
CAPTIONS = 6                # captions a picture
LONGEST = 280               # bytes of a caption


@dataclass(frozen=True)
class Group:
    """`people` people with `pictures` pictures each; picture number k of all people comes before number k + 1."""

    name: str
    first_seed: int
    people: int
    pictures: int
    photos: float = .8      # share of plain photographs

    @property
    def rows(self) -> int:
        return self.people * self.pictures

    def arrays(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Name, shape and type of the arrays that hold this group."""
        from .facts import CLAIMS
        n = self.rows
        if self.name.startswith("pair"):
            return {"pictures": ((n, SMALL, SMALL, 3), "u1"), "captions": ((n, CAPTIONS), f"S{LONGEST}"),
                    "true": ((n, len(CLAIMS)), "u1"), "claimed": ((n, CAPTIONS, len(CLAIMS)), "u1"), "ready": ((n,), "u1")}
        return {"pictures": ((n, LARGE, LARGE, 3), "u1"), "points": ((n, 5, 2), "f4"), "boxes": ((n, 4), "f4"),
                "ready": ((n,), "u1")}


def groups(scale: float = 1.0) -> dict[str, Group]:
    """All groups; `scale` shrinks them for trying things out."""
    def people(count: int, least: int) -> int:
        return max(least, round(count * scale))

    listed = [Group("detector", seeds.DETECTOR, people(4000, 64), 1, .7), Group("empty", seeds.EMPTY, people(800, 32), 1),
              Group("recogniser", seeds.RECOGNISER, people(3600, 40), 9), Group("judge", seeds.JUDGE, people(3000, 40), 8),
              Group("pair", seeds.PAIR, people(24000, 256), 1, .7), Group("held_out", seeds.HELD_OUT, people(400, 24), 8, 1.0),
              Group("pair_held_out", seeds.HELD_OUT_PAIR, people(1200, 60), 1, .7)]
    return {g.name: g for g in listed}


def scene_numbers(group: Group, person: int, picture: int) -> np.random.Generator:
    """The random numbers that a picture's scene is drawn from."""
    return np.random.default_rng([group.first_seed, person, picture])


def _native(rng, person, scene) -> np.ndarray:
    """A picture of side LARGE: drawn at that size, or at the pocket model's own size and enlarged.

    The styles filter pixels, so a sketch of 64 pixels is another thing than one of 128.
    """
    if rng.random() < (.8 if scene.style == "photo" else .3):
        return render(person, scene, LARGE, 1)
    return render(person, scene, SMALL, 2).repeat(2, 0).repeat(2, 1)


def _row(group: Group, row: int) -> dict[str, np.ndarray]:
    """Everything to be stored of one row."""
    number, picture = row % group.people, row // group.people
    rng = scene_numbers(group, number, picture)
    style = "photo" if rng.random() < group.photos else None
    person, scene = draw_identity(group.first_seed + number), draw_scene(rng, style)
    if group.name == "empty":
        canvas = Canvas(LARGE, 1, scene)
        paint_place(canvas, rng)
        return {"pictures": (np.clip(canvas.image, 0, 1) * 255 + .5).astype(np.uint8)}
    if group.name.startswith("pair"):
        said = [caption(rng, person, scene, None) for _ in range(CAPTIONS)]
        return {"pictures": render(person, scene, SMALL, 2), "captions": np.array([s.encode() for s in said]),
                "true": true_facts(person, scene), "claimed": np.stack([claimed_facts(s) for s in said])}
    geometry = Geometry(person, scene)
    return {"pictures": _native(rng, person, scene), "points": geometry.points(), "boxes": geometry.box()}


def open_group(scratch: Path, group: Group, mode: str = "r") -> dict[str, np.ndarray]:
    """The group's arrays, mapped from its files; mode "w+" makes them, "r+" fills them."""
    folder = scratch / group.name
    folder.mkdir(parents=True, exist_ok=True)
    return {name: np.memmap(folder / name, kind, mode if (folder / name).exists() else "w+", shape=shape)
            for name, (shape, kind) in group.arrays().items()}


def draw_share(scratch: Path, scale: float, share: int, of: int, deadline: float, only: tuple[str, ...] = ()) -> None:
    """Draws every `of`-th row of all groups until all are drawn or time is up; every group fills at the same pace."""
    os.nice(5)
    listed = {name: group for name, group in groups(scale).items() if not only or name in only}
    arrays = {name: open_group(scratch, group, "r+") for name, group in listed.items()}
    hurry = {"detector": .35, "empty": .35, "held_out": .8, "pair_held_out": .8}         # these are wanted before the others are full
    jobs = sorted((row / group.rows * hurry.get(name, 1.0), name, row)
                  for name, group in listed.items() for row in range(share, group.rows, of))
    for _, name, row in jobs:
        if time.time() > deadline:
            break
        if arrays[name]["ready"][row]:
            continue
        for key, value in _row(listed[name], row).items():
            arrays[name][key][row] = value
        arrays[name]["ready"][row] = 1


class Drawn:
    """A group as it fills: `fresh()` gives the rows that have come since it was last asked."""

    def __init__(self, scratch: Path, scale: float, name: str):
        self.group = groups(scale)[name]
        self.arrays = open_group(scratch, self.group)
        self.seen = np.zeros(self.group.rows, bool)

    def fresh(self) -> np.ndarray:
        """Indices of new rows."""
        new = np.flatnonzero((self.arrays["ready"] == 1) & ~self.seen)
        self.seen[new] = True
        return new

    def wait(self, share: float, deadline: float) -> None:
        """Waits until a share of the rows is there, or time is up."""
        while self.arrays["ready"].mean() < share and time.time() < deadline:
            time.sleep(.25)

    def people(self, rows: np.ndarray) -> np.ndarray:
        """Which person each row shows."""
        return rows % self.group.people


def progress(scratch: Path, scale: float) -> str:
    """How many rows of each group are there, as JSON."""
    return json.dumps({name: int(open_group(scratch, group)["ready"].sum()) for name, group in groups(scale).items()})
