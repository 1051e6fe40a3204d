"""The shapes of two recognisers that have nothing in common but their input and the length of their output.

In: RGB (x - 127.5) / 127.5, 112x112, aligned to the ArcFace template. Out: 128 numbers, compared by cosine.
"""

import torch
from torch import nn

LENGTH = 128


class Inverted(nn.Module):
    """Widen, look around in every channel, narrow; added to the input where shapes allow."""

    def __init__(self, into: int, out: int, stride: int = 1, widen: int = 2):
        super().__init__()
        inner = into * widen
        self.same = into == out and stride == 1
        self.body = nn.Sequential(
            nn.Conv2d(into, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(inplace=True),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.ReLU(inplace=True),
            nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.same else self.body(x)


class Recogniser(nn.Module):
    """Depthwise, as MobileFaceNet: every place of the last 7x7 map has its own weight a channel."""

    def __init__(self, widths: tuple[int, ...] = (16, 32, 44, 60), last: int = 192):
        super().__init__()
        a, b, c, d = widths
        self.body = nn.Sequential(
            nn.Conv2d(3, a, 3, 2, 1, bias=False), nn.BatchNorm2d(a), nn.ReLU(inplace=True),
            nn.Conv2d(a, a, 3, 1, 1, groups=a, bias=False), nn.BatchNorm2d(a), nn.ReLU(inplace=True),
            Inverted(a, b, 2), Inverted(b, b), Inverted(b, b),
            Inverted(b, c, 2), Inverted(c, c), Inverted(c, c), Inverted(c, c),
            Inverted(c, d, 2), Inverted(d, d), Inverted(d, d),
            nn.Conv2d(d, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU(inplace=True),
            nn.Conv2d(last, last, 7, groups=last, bias=False), nn.BatchNorm2d(last), nn.Flatten())
        self.out = nn.Sequential(nn.Linear(last, LENGTH, bias=False), nn.BatchNorm1d(LENGTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.body(x))


class Pair(nn.Module):
    """Two full convolutions around a shortcut."""

    def __init__(self, into: int, out: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.LeakyReLU(.1),
                                  nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        self.short = nn.Identity() if into == out and stride == 1 else nn.Sequential(
            nn.AvgPool2d(stride) if stride > 1 else nn.Identity(), nn.Conv2d(into, out, 1, bias=False))
        self.act = nn.LeakyReLU(.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.short(x) + self.body(x))


class Judge(nn.Module):
    """Full convolutions, few and narrow; the last 7x7 map is mixed down to a few channels and read as it lies."""

    def __init__(self, widths: tuple[int, ...] = (16, 24, 32, 48), last: int = 12):
        super().__init__()
        a, b, c, d = widths
        self.body = nn.Sequential(
            nn.Conv2d(3, a, 5, 2, 2, bias=False), nn.BatchNorm2d(a), nn.LeakyReLU(.1),
            Pair(a, b, 2), Pair(b, c, 2), Pair(c, d, 2),
            nn.Conv2d(d, last, 1, bias=False), nn.BatchNorm2d(last), nn.Flatten(), nn.Dropout(.1))
        self.out = nn.Linear(last * 49, LENGTH)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.orthogonal_(module.weight, 1.4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.body(x))
