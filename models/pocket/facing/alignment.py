"""Brings a face to the ArcFace template: the similarity transform of Umeyama from five points."""

import numpy as np
import torch
import torch.nn.functional as F

SIDE = 112
TEMPLATE = np.array([(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)], np.float32)


def similarity(points: torch.Tensor) -> torch.Tensor:
    """Transforms [N, 2, 3] from the template's pixels to a picture, for five points each, [N, 5, 2].

    In the plane, with points as complex numbers, the best similarity without reflection is one
    complex factor: the correlation of the centred points over the template's variance.
    """
    template = torch.from_numpy(TEMPLATE).to(points)
    middle, theirs = template.mean(0), points.mean(1, keepdim=True)
    a, b = template - middle, points - theirs
    real = (a * b).sum((1, 2)) / (a * a).sum()
    imaginary = (a[:, 0] * b[:, :, 1] - a[:, 1] * b[:, :, 0]).sum(1) / (a * a).sum()
    turn = torch.stack([torch.stack([real, -imaginary], 1), torch.stack([imaginary, real], 1)], 1)
    shift = theirs[:, 0] - turn @ middle
    return torch.cat([turn, shift[:, :, None]], 2)


def align(pictures: torch.Tensor, points: torch.Tensor, side: int = SIDE) -> torch.Tensor:
    """Faces [N, C, side, side] cut from pictures [N, C, H, W] by five points in pixels (0 is the edge of the first pixel)."""
    height, width = pictures.shape[2:]
    transform = similarity(points)
    axis = (torch.arange(side, device=points.device, dtype=points.dtype) + .5) * (SIDE / side)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    grid = torch.stack([x, y, torch.ones_like(x)], -1) @ transform[:, None].transpose(2, 3)
    scale = torch.tensor([2 / width, 2 / height], device=points.device, dtype=points.dtype)
    return F.grid_sample(pictures, grid * scale - 1, padding_mode="border", align_corners=False)
