"""Trains a recogniser: large-margin cosine loss over people whom nothing else of the pocket world draws."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from . import pictures as p
from .alignment import align
from .drawing import LARGE
from .pool import Pool
from .recognisers import LENGTH
from .schedule import Training


@dataclass(frozen=True)
class Course:
    """What differs between the two recognisers' trainings."""

    group: str
    seed: int
    rate: float
    batch: int
    sharpness: float    # cosines are multiplied by it
    margin: float       # CosFace: taken off the own person's cosine
    angle: float        # ArcFace: added to the own person's angle


RECOGNISER = Course("recogniser", 21, 4e-3, 512, 24.0, .28, 0.0)
JUDGE = Course("judge", 31, 2.5e-3, 448, 24.0, 0.0, .32)


@torch.no_grad()
def faces(pool: Pool, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Aligned faces [N, 3, 112, 112] as the network wants them, and who they are."""
    x, pick = pool.pick(count, .35)
    x = p.jpeg(p.shrink_and_back(p.light(x, .6), .35, (64,)).clamp(0, 255), .3)
    points = pool["points"][pick] * LARGE
    eyes = (points[:, 1] - points[:, 0]).norm(dim=1)[:, None, None]
    # A detector errs on each point, and on all of them together.
    points = points + eyes * (.03 * torch.randn_like(points) + .03 * torch.randn(count, 1, 2, device=x.device))
    x = p.noise(p.blur(align(x, points), .35, .5, 2.0), .25, 8).clamp(0, 255)
    mirror = p.some(count, .5, x.device)
    return (p.only(mirror, x.flip(3), x) - 127.5) / 127.5, pool["people"][pick]


class Margin(nn.Module):
    """One direction a person; a face has to be nearer to its own than to any other by a margin."""

    def __init__(self, people: int, length: int, course: Course):
        super().__init__()
        self.directions, self.course = nn.Parameter(torch.randn(people, length) * .1), course

    def forward(self, embeddings: torch.Tensor, who: torch.Tensor, warm: float) -> torch.Tensor:
        """The loss; margins grow with `warm` from 0 to 1."""
        cosine = F.normalize(embeddings.float()) @ F.normalize(self.directions).T
        own = cosine.gather(1, who[:, None]).clamp(-.999, .999)
        course = self.course
        moved = torch.cos((own.acos() + warm * course.angle).clamp(max=3.14159)) - warm * course.margin
        return F.cross_entropy(course.sharpness * cosine.scatter(1, who[:, None], moved), who)


def train_recogniser(network: type[nn.Module], course: Course, scratch: Path, scale: float, device: str, training: Training) -> nn.Module:
    """Trains until the clock says stop."""
    torch.manual_seed(course.seed)
    pool = Pool(scratch, scale, device, course.group, ("soft", "points"))
    pool.drawn.wait(.1, time.time() + 30)
    model = network().to(device, memory_format=torch.channels_last)
    margin = Margin(pool.drawn.group.people, LENGTH, course).to(device)
    training.begin([model, margin], course.rate, warmup=200, decay=.03)
    while training.goes_on():
        if training.due(4):
            pool.grow()
        x, who = faces(pool, training.batch(course.batch))
        with torch.autocast(device, torch.bfloat16, enabled=device != "cpu"):
            embeddings = model(x.contiguous(memory_format=torch.channels_last))
        training.update(margin(embeddings, who, min(1.0, training.fraction / .35)), f"{len(pool)} pictures")
    return training.averaged(model)
