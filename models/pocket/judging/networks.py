"""Two small judges, trained on drawn people that the model never saw: who it is, and what the picture shows.

`FaceJudge` turns a picture into a 64-d unit vector (large-margin cosine loss over identities);
`ContextJudge` names place, clothes, style, expression and headwear.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from world.identity import JUDGE_SEED, draw_identity
from world.portrait import render
from world.scene import CLOTHES, EXPRESSIONS, HEADWEAR, PLACES, STYLES, draw_scene

LABELS = {"place": PLACES, "clothes": tuple(CLOTHES), "style": STYLES, "expression": tuple(EXPRESSIONS), "headwear": HEADWEAR}


def to_input(pictures: np.ndarray) -> torch.Tensor:
    """uint8 [N, 64, 64, 3] to floats [N, 3, 64, 64] in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def trunk(width: int = 24) -> nn.Sequential:
    """64x64 picture to a vector of 4 * width * 16 values."""
    layers, channels = [], 3
    for factor in (1, 2, 3, 4):
        layers += [nn.Conv2d(channels, width * factor, 3, 2, 1), nn.BatchNorm2d(width * factor), nn.SiLU()]
        channels = width * factor
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(.2))


class FaceJudge(nn.Module):
    """Unit vectors; pictures of one person point the same way."""

    def __init__(self):
        super().__init__()
        self.trunk, self.head = trunk(), nn.Linear(24 * 4 * 16, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.head(self.trunk(x)), dim=1)

    @torch.no_grad()
    def embed(self, pictures: np.ndarray) -> torch.Tensor:
        """uint8 pictures to unit vectors [N, 64]."""
        self.eval()
        return self(to_input(pictures))


class ContextJudge(nn.Module):
    """One classifier a label of LABELS on a common trunk."""

    def __init__(self):
        super().__init__()
        self.trunk = trunk()
        self.heads = nn.ModuleDict({k: nn.Linear(24 * 4 * 16, len(v)) for k, v in LABELS.items()})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.trunk(x)
        return {label: head(features) for label, head in self.heads.items()}

    @torch.no_grad()
    def names(self, pictures: np.ndarray) -> dict[str, list[str]]:
        """The word each picture gets for each label."""
        self.eval()
        return {k: [LABELS[k][i] for i in v.argmax(1).tolist()] for k, v in self(to_input(pictures)).items()}


def _jitter(x: torch.Tensor) -> torch.Tensor:
    """Brightness, softness and small shifts, so that a generated picture's softness alone does not mislead."""
    x = x * (1 + .1 * torch.randn(len(x), 1, 1, 1)) + .05 * torch.randn(len(x), 3, 1, 1)
    x = torch.roll(x, (int(torch.randint(-2, 3, ())), int(torch.randint(-2, 3, ()))), (2, 3))
    return F.avg_pool2d(x, 3, 1, 1) if torch.rand(()) < .35 else x + .03 * torch.randn_like(x)


def train_face_judge(identities: int = 320, pictures: int = 8, epochs: int = 16) -> FaceJudge:
    """Draws identities of the judges' own seed range as photos and trains on them."""
    torch.manual_seed(1)
    rows = [(i, render(draw_identity(JUDGE_SEED + i), draw_scene(np.random.default_rng(JUDGE_SEED + i * 100 + k), "photo")))
            for i in range(identities) for k in range(pictures)]
    x = to_input(np.stack([image for _, image in rows]))
    y = torch.tensor([i for i, _ in rows])
    judge, centres = FaceJudge(), nn.Parameter(torch.randn(identities, 64))
    parameters = [*judge.parameters(), centres]
    optimizer = torch.optim.AdamW(parameters, 2e-3, weight_decay=.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * (len(x) // 64))
    for _ in range(epochs):
        judge.train()
        order = torch.randperm(len(x))
        for start in range(0, len(x) - 63, 64):
            at = order[start:start + 64]
            cosine = judge(_jitter(x[at])) @ F.normalize(centres, dim=1).T
            margin = .2 * F.one_hot(y[at], identities)
            loss = F.cross_entropy(16 * (cosine - margin), y[at])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return judge.eval()


def train_context_judge(pictures: int = 3000, epochs: int = 8) -> ContextJudge:
    """Draws strangers in all styles and trains a classifier of everything captions say about scenes."""
    torch.manual_seed(2)
    images, labels = [], {k: [] for k in LABELS}
    for i in range(pictures):
        scene = draw_scene(np.random.default_rng(JUDGE_SEED * 2 + i))
        images.append(render(draw_identity(JUDGE_SEED + 100_000 + i), scene))
        for k, names in LABELS.items():
            labels[k].append(names.index(getattr(scene, k)))
    x, labels = to_input(np.stack(images)), {k: torch.tensor(v) for k, v in labels.items()}
    judge = ContextJudge()
    optimizer = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * (len(x) // 64))
    for _ in range(epochs):
        judge.train()
        order = torch.randperm(len(x))
        for start in range(0, len(x) - 63, 64):
            at = order[start:start + 64]
            output = judge(_jitter(x[at]))
            loss = sum(F.cross_entropy(output[k], labels[k][at]) for k in LABELS)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return judge.eval()


def load_or_train(cache: Path) -> tuple[FaceJudge, ContextJudge]:
    """Both judges, from the cache folder where it has them."""
    cache.mkdir(parents=True, exist_ok=True)
    judges = []
    for name, build, train in (("face", FaceJudge, train_face_judge), ("context", ContextJudge, train_context_judge)):
        path = cache / f"{name}-judge.pt"
        if path.exists():
            judge = build()
            judge.load_state_dict(torch.load(path))
            judges.append(judge.eval())
        else:
            judge = train()
            torch.save(judge.state_dict(), path)
            judges.append(judge)
    return tuple(judges)
