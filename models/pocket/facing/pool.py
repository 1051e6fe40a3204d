"""Drawn pictures on the device, growing while they are drawn, each with a soft copy as the pocket model draws."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from . import pictures as p
from .drawing import SMALL, Drawn

AT_ONCE = 512
SOFTENED_SLOWLY = .2        # share that passes the pocket model where there is no card; the others are blurred


class Pool:
    """The rows of one group, `fields` of them besides the pictures."""

    def __init__(self, scratch: Path, scale: float, device: str, group: str, fields: tuple[str, ...] = ()):
        from . import softness
        self.drawn, self.device, self.fields = Drawn(scratch, scale, group), device, fields
        self.soften = softness.load(device) if "soft" in fields else None
        self.parts: dict[str, torch.Tensor] = {}

    def __len__(self) -> int:
        return len(self.parts["pictures"]) if self.parts else 0

    def __getitem__(self, field: str) -> torch.Tensor:
        return self.parts[field]

    def grow(self) -> None:
        """Takes in what has been drawn meanwhile."""
        rows = self.drawn.fresh()
        for at in range(0, len(rows), AT_ONCE):
            self._add(rows[at:at + AT_ONCE])

    def _add(self, rows: np.ndarray) -> None:
        pictures = p.to_device(self.drawn.arrays["pictures"][rows], self.device)
        new = {"pictures": pictures, "people": torch.from_numpy(self.drawn.people(rows)).to(self.device)}
        if "soft" in self.fields:
            new["soft"] = self._soft(pictures.float())
        for field in self.fields:
            if field != "soft":
                new[field] = self._read(field, rows)
        for field, value in new.items():
            self.parts.setdefault(field, _Grown(self.drawn.group.rows, value)).add(value)

    def _read(self, field: str, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(self.drawn.arrays[field][rows])).to(self.device)

    @torch.no_grad()
    def _soft(self, x: torch.Tensor) -> torch.Tensor:
        small = F.interpolate(x, (SMALL, SMALL), mode="area")
        soft = p.blur(small, 1.0, .5, 1.2)
        if self.soften:
            through = len(x) if self.device != "cpu" else int(len(x) * SOFTENED_SLOWLY)
            soft[:through] = self.soften(small[:through])
        return (soft.clamp(0, 255) + .5).byte()

    @torch.no_grad()
    def pick(self, count: int, softened: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Random pictures RGB 0..255, a share of them soft, and their indices."""
        index = torch.randint(len(self), (count,), device=self.device)
        x = self["pictures"][index].float()
        soft = F.interpolate(self["soft"][index].float(), x.shape[2:], mode=("bilinear", "bicubic")[int(torch.randint(2, ()))])
        return p.only(p.some(count, softened, self.device), soft.clamp(0, 255), x), index


class _Grown:
    """A tensor with room for all rows, of which the first are there; copying what is there at every growth would add up."""

    def __init__(self, rows: int, example: torch.Tensor):
        self.all, self.count = torch.empty(rows, *example.shape[1:], dtype=example.dtype, device=example.device), 0

    def add(self, value: torch.Tensor) -> None:
        self.all[self.count:self.count + len(value)] = value
        self.count += len(value)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index) -> torch.Tensor:
        return self.all[index]
