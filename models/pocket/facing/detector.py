"""The shape of the detector: YuNet's inputs and outputs on a narrower depthwise network.

In: BGR 0..255, NCHW, sides multiples of 32. Out for strides 8, 16 and 32: `cls`, `obj` (shares), `bbox`
(centre from the cell and logarithm of the size, in strides) and `kps` (five points from the cell, in strides).
"""

import torch
import torch.nn.functional as F
from torch import nn

STRIDES = (8, 16, 32)
PARTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
OUTPUTS = tuple(f"{part}_{stride}" for part in PARTS for stride in STRIDES)


def separable(into: int, out: int, stride: int = 1) -> nn.Sequential:
    """A depthwise 3x3 convolution, then a mix of channels."""
    return nn.Sequential(nn.Conv2d(into, into, 3, stride, 1, groups=into, bias=False), nn.BatchNorm2d(into), nn.ReLU(inplace=True),
                         nn.Conv2d(into, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """A separable convolution added to its input."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = separable(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class Head(nn.Module):
    """What one stride says: all parts from one small convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.body, self.out = separable(channels, channels), nn.Conv2d(channels, sum(PARTS.values()), 1)
        nn.init.normal_(self.out.weight, std=.01)
        nn.init.zeros_(self.out.bias)
        nn.init.constant_(self.out.bias[:2], -3.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.body(x))


class Detector(nn.Module):
    """Pictures to raw maps [N, 16, H / stride, W / stride], one a stride."""

    def __init__(self, widths: tuple[int, ...] = (12, 24, 36, 48, 56), neck: int = 36):
        super().__init__()
        a, b, c, d, e = widths
        self.stem = nn.Sequential(nn.Conv2d(3, a, 3, 2, 1, bias=False), nn.BatchNorm2d(a), nn.ReLU(inplace=True), separable(a, b, 2), Residual(b))
        self.eight = nn.Sequential(separable(b, c, 2), Residual(c), Residual(c))
        self.sixteen = nn.Sequential(separable(c, d, 2), Residual(d), Residual(d))
        self.thirtytwo = nn.Sequential(separable(d, e, 2), Residual(e))
        self.lateral = nn.ModuleList(nn.Conv2d(n, neck, 1) for n in (c, d, e))
        self.heads = nn.ModuleList(Head(neck) for _ in STRIDES)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = self.stem((x - 127.5) * (1 / 128))
        eight = self.eight(x)
        sixteen = self.sixteen(eight)
        thirtytwo = self.thirtytwo(sixteen)
        top = self.lateral[2](thirtytwo)
        middle = self.lateral[1](sixteen) + F.interpolate(top, scale_factor=2.0, mode="nearest")
        low = self.lateral[0](eight) + F.interpolate(middle, scale_factor=2.0, mode="nearest")
        return [head(F.relu(x)) for head, x in zip(self.heads, (low, middle, top))]


class AsYuNet(nn.Module):
    """The detector with YuNet's twelve outputs, in their order."""

    def __init__(self, detector: Detector):
        super().__init__()
        self.detector = detector

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rows = [m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, m.shape[1]) for m in self.detector(x)]
        outputs, at = [], 0
        for part, width in PARTS.items():
            cut = [r[:, :, at:at + width] for r in rows]
            outputs += [torch.sigmoid(r) for r in cut] if part in ("cls", "obj") else cut
            at += width
        return tuple(outputs)
