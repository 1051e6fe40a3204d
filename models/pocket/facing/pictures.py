"""What happens to pictures between being drawn and being looked at: batches as floats [N, 3, H, W], RGB 0..255."""

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

LUMA_TABLE = torch.tensor([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]], dtype=torch.float32)
TO_YCC = torch.tensor([[.299, .587, .114], [-.1687, -.3313, .5], [.5, -.4187, -.0813]])
FROM_YCC = torch.linalg.inv(TO_YCC)


def to_device(rows, device: str) -> torch.Tensor:
    """uint8 rows [N, H, W, C] as a uint8 batch [N, C, H, W] on the device."""
    return torch.from_numpy(np.array(rows)).to(device).permute(0, 3, 1, 2).contiguous()


def some(count: int, probability: float, device) -> torch.Tensor:
    """Each of `count` pictures with a probability, bool [N]."""
    return torch.rand(count, device=device) < probability


def only(chosen: torch.Tensor, changed: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The changed pictures where chosen, the others as they were."""
    return torch.where(chosen[:, None, None, None], changed, x)


def sometimes(effect: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """An effect with a probability as its second argument: only pictures that it falls on are worked on."""

    @functools.wraps(effect)
    def some_of(x: torch.Tensor, probability: float, *settings: float) -> torch.Tensor:
        rows = some(len(x), probability, x.device).nonzero()[:, 0]
        if not len(rows):
            return x
        if len(rows) == len(x):
            return effect(x, *settings)
        changed = x.clone()
        changed[rows] = effect(x[rows], *settings)
        return changed

    return some_of


def _dct(device) -> torch.Tensor:
    """The transform of a block of 8x8 as a matrix [64, 64]."""
    k, n = torch.arange(8.)[:, None], torch.arange(8.)[None]
    basis = torch.cos(math.pi * (2 * n + 1) * k / 16) * math.sqrt(2 / 8)
    basis[0] /= math.sqrt(2)
    return torch.kron(basis, basis).to(device)


@sometimes
def jpeg(x: torch.Tensor, low: float = .3, high: float = 2.0) -> torch.Tensor:
    """Some pictures lose what JPEG would lose; the tables are scaled by `low` (quality 85) .. `high` (quality 25)."""
    n, _, height, width = x.shape
    turn, basis = TO_YCC.to(x.device), _dct(x.device)
    ycc = torch.einsum("ij,njhw->nihw", turn, x) - torch.tensor([128., 0, 0], device=x.device)[:, None, None]
    blocks = ycc.reshape(n, 3, height // 8, 8, width // 8, 8).permute(0, 1, 2, 4, 3, 5).reshape(n, 3, -1, 64)
    strength = torch.exp(torch.empty(n, 1, 1, 1, device=x.device).uniform_(math.log(low), math.log(high)))
    table = LUMA_TABLE.reshape(64).to(x.device) * torch.tensor([1., 1.6, 1.6], device=x.device)[:, None, None] * strength
    spectrum = torch.round(blocks @ basis.T / table) * table
    back = (spectrum @ basis).reshape(n, 3, height // 8, width // 8, 8, 8).permute(0, 1, 2, 4, 3, 5).reshape(n, 3, height, width)
    back = torch.einsum("ij,njhw->nihw", FROM_YCC.to(x.device), back + torch.tensor([128., 0, 0], device=x.device)[:, None, None])
    return back.clamp(0, 255)


@sometimes
def blur(x: torch.Tensor, least: float = .4, most: float = 1.2) -> torch.Tensor:
    """Some pictures are blurred by a Gaussian of `least` .. `most` pixels."""
    height, width = x.shape[2:]
    sigma = torch.empty(len(x), 1, device=x.device).uniform_(least, most)
    kernel = torch.exp(-.5 * (torch.arange(-3., 4, device=x.device) / sigma) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).T[:, :, None, None, None]
    padded = F.pad(x, (3, 3, 3, 3), mode="replicate")
    across = sum(weight * padded[:, :, :, i:i + width] for i, weight in enumerate(kernel))
    return sum(weight * across[:, :, i:i + height] for i, weight in enumerate(kernel))


@sometimes
def noise(x: torch.Tensor, most: float = 10.0) -> torch.Tensor:
    """Some pictures get fine or blotchy noise, as an imperfect decoder leaves it."""
    n, channels, height, width = x.shape
    fine = torch.randn(x.shape, device=x.device)
    blotchy = F.interpolate(torch.randn(n, channels, height // 4, width // 4, device=x.device), (height, width), mode="bilinear")
    kind = torch.rand(n, 1, 1, 1, device=x.device)
    added = fine * kind + 1.6 * blotchy * (1 - kind)
    return x + added * most * torch.rand(n, 1, 1, 1, device=x.device)


@sometimes
def light(x: torch.Tensor, spread: float = .15) -> torch.Tensor:
    """Some pictures get another brightness, contrast, saturation and tint."""
    def about_one():
        return 1 + spread * torch.empty(len(x), 1, 1, 1, device=x.device).uniform_(-1, 1)

    mean = x.mean((1, 2, 3), keepdim=True)
    changed = (x - mean) * about_one() + mean * about_one()
    grey = changed.mean(1, keepdim=True)
    changed = grey + (changed - grey) * (about_one() - .5 * spread)
    return changed + 255 * .25 * spread * torch.randn(len(x), 3, 1, 1, device=x.device)


def shrink_and_back(x: torch.Tensor, probability: float, sides: tuple[int, ...]) -> torch.Tensor:
    """Some batches are shrunk to one of the sides and enlarged again, smoothly or by whole pixels."""
    if torch.rand(()) > probability:
        return x
    side = sides[int(torch.randint(len(sides), ()))]
    small = F.interpolate(x, (side, side), mode="area")
    return F.interpolate(small, x.shape[2:], mode=("bilinear", "bicubic", "nearest")[int(torch.randint(3, ()))]).clamp(0, 255)
