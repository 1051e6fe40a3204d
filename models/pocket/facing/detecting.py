"""Trains the detector on pages of pasted portraits, made anew on the device for every batch."""

import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from . import pictures as p
from .detector import STRIDES, Detector
from .drawing import LARGE
from .pool import Pool
from .schedule import Training

PAGES = ((256, 96), (320, 64), (192, 128), (128, 192), (384, 48), (512, 24), (64, 256))   # side, pages a batch
FEW_PAGES = ((256, 96), (128, 256), (256, 96), (128, 256), (64, 512), (192, 160), (320, 64), (448, 32))     # where time is short
LEVELS = ((0.0, 44.0), (36.0, 100.0), (84.0, 4000.0))      # which face sizes each stride answers for; they overlap
NEAR = 1.2                  # cells this near to a face's middle, in strides, answer for it


class Portraits(Pool):
    """Drawn portraits with their points and boxes, and empty places, on the device."""

    def __init__(self, scratch: Path, scale: float, device: str):
        super().__init__(scratch, scale, device, "detector", ("soft", "points", "boxes"))
        self.places = Pool(scratch, scale, device, "empty")

    def grow(self) -> None:
        """Takes in what has been drawn meanwhile."""
        super().grow()
        self.places.grow()


def _ground(portraits: Portraits, count: int, side: int) -> torch.Tensor:
    """Pages without faces: a colour, places at some zoom, pieces of clothes and hair, or noise."""
    device = portraits.device
    pages = torch.rand(count, 3, 1, 1, device=device) * 255 * torch.ones(1, 1, side, side, device=device)
    if len(portraits.places):
        pick = torch.randint(len(portraits.places), (count,), device=device)
        turn, zoom = torch.empty(2, count, device=device).uniform_(.25, 1.0), torch.empty(count, 2, device=device).uniform_(-.4, .4)
        grid = F.affine_grid(torch.stack([torch.stack([turn[0], turn[0] * 0, zoom[:, 0]], 1),
                                          torch.stack([turn[1] * 0, turn[1], zoom[:, 1]], 1)], 1), (count, 3, side, side), align_corners=False)
        place = F.grid_sample(portraits.places["pictures"][pick].float(), grid, padding_mode="reflection", align_corners=False)
        pages = p.only(p.some(count, .7, device), place, pages)
    # The lower fifth of a portrait is clothes, its corners are place and hair: never a whole face.
    pick = torch.randint(len(portraits), (count,), device=device)
    scraps = F.interpolate(portraits["pictures"][pick][:, :, LARGE - 24:].float(), (side, side), mode="bilinear")
    pages = p.only(p.some(count, .15, device), scraps, pages)
    static = torch.randint(0, 256, (count, 3, side, side), device=device).float()
    return p.only(p.some(count, .05, device), static, p.noise(pages, .3, 40))


def _layout(count: int, side: int, device: str) -> torch.Tensor:
    """Corners and sides [N, S, 3] of pasted portraits in pixels; side 0 means none. They do not cover each other's faces.

    A page is empty, one portrait from edge to edge (as the pocket model draws and as users' photos are), one
    portrait somewhere, or one in each of four quarters.
    """
    kind = torch.rand(count, device=device)
    rand = torch.rand(count, 4, 3, device=device)
    whole = torch.zeros(count, 4, 3, device=device)
    whole[:, 0, 2] = side * torch.exp(torch.empty(count, device=device).uniform_(0, .35))
    whole[:, 0, :2] = (side - whole[:, 0, 2:]) * rand[:, 0, :2]
    least = math.log(max(36 / side, .1))
    single = torch.zeros(count, 4, 3, device=device)
    single[:, 0, 2] = side * torch.exp(least * rand[:, 0, 2]) * 1.05
    single[:, 0, :2] = (side - single[:, 0, 2:]) * rand[:, 0, :2]
    half = side / 2
    quarter = torch.zeros(count, 4, 3, device=device)
    quarter[:, :, 2] = half * (min(36 / half, 1) + max(1 - 36 / half, 0) * rand[:, :, 2]) * (torch.rand(count, 4, device=device) < .7)
    corner = torch.tensor([[0., 0], [half, 0], [0, half], [half, half]], device=device)
    quarter[:, :, :2] = corner + (half - quarter[:, :, 2:]) * rand[:, :, :2]
    layout = torch.where((kind < .40)[:, None, None], whole, torch.where((kind < .70)[:, None, None], single, quarter))
    return torch.where((kind > .90)[:, None, None], torch.zeros_like(layout), layout)


def pages(portraits: Portraits, count: int, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pages [N, 3, S, S] RGB 0..255, boxes [N, 4, 4] and points [N, 4, 5, 2] in pixels; width 0 where there is no face."""
    device = portraits.device
    page, layout = _ground(portraits, count, side), _layout(count, side, device)
    boxes, points = torch.zeros(count, 4, 4, device=device), torch.zeros(count, 4, 5, 2, device=device)
    axis = torch.arange(side, device=device) + .5
    for slot in range(4):
        rows = (layout[:, slot, 2] > 0).nonzero()[:, 0]
        if not len(rows):
            continue
        faces, pick = portraits.pick(len(rows), .2)
        mirror = torch.rand(len(rows), device=device) < .5
        faces = p.only(mirror, faces.flip(3), faces)
        corner, wide = layout[rows, slot, :2], layout[rows, slot, 2:]
        gx, gy = ((axis[None] - corner[:, i:i + 1]) / wide * 2 - 1 for i in (0, 1))
        grid = torch.stack([gx[:, None, :].expand(-1, side, -1), gy[:, :, None].expand(-1, -1, side)], -1)
        # Shrunk far below their size, portraits would alias: average first.
        faces = p.only(wide[:, 0] < LARGE * .6, F.interpolate(F.avg_pool2d(faces, 2), scale_factor=2.0, mode="bilinear"), faces)
        cut = F.grid_sample(faces, grid, padding_mode="border", align_corners=False)
        inside = ((gx.abs() <= 1)[:, None, :] & (gy.abs() <= 1)[:, :, None])[:, None]
        page[rows] = torch.where(inside, cut, page[rows])
        flip = torch.tensor([1, 0, 2, 4, 3], device=device)
        at, box = portraits["points"][pick], portraits["boxes"][pick]
        at = torch.where(mirror[:, None, None], torch.stack([1 - at[..., 0], at[..., 1]], -1)[:, flip], at)
        box = torch.where(mirror[:, None], torch.stack([1 - box[:, 0] - box[:, 2], *box[:, 1:].T], 1), box)
        box = box * wide + F.pad(corner, (0, 2))
        middle = box[:, :2] + box[:, 2:] / 2
        seen = ((middle > 0) & (middle < side)).all(1, keepdim=True)
        points[rows, slot], boxes[rows, slot] = at * wide[:, None] + corner[:, None], box * seen
    page = p.light(page, .5, .25)
    page = p.shrink_and_back(page, .25, (max(side // 2, 64), max(side // 4, 64)))
    page = p.blur(page, .3, .4, 1.4)
    page = p.noise(page, .25, 8)
    return p.jpeg(page.clamp(0, 255), .4), boxes, points


def detection_loss(maps: list[torch.Tensor], boxes: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Scores, boxes and points against the faces of the pages."""
    device, faces = boxes.device, boxes[..., 2] > 0
    size = (boxes[..., 2] * boxes[..., 3]).clamp(min=1).sqrt()
    middle = boxes[..., :2] + boxes[..., 2:] / 2
    total, counted = 0.0, 0.0
    for level, stride, raw in zip(LEVELS, STRIDES, maps):
        n, _, rows, columns = raw.shape
        raw = raw.permute(0, 2, 3, 1).float()
        y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
        cell = torch.stack([x, y], -1).float()                                                # [R, C, 2]
        away = ((cell + .5) * stride - middle[:, :, None, None]).abs().amax(-1) / stride      # [N, S, R, C]
        near = (away < NEAR) & faces[:, :, None, None]
        fits = (size >= level[0]) & (size < level[1])
        only_here = fits & ~sum(((size >= low) & (size < high)) for low, high in LEVELS if (low, high) != level).bool()
        inner = (away < NEAR / 2) & faces[:, :, None, None]
        positive = near & fits[:, :, None, None]
        # A face that another stride answers for may or may not be said here: not counted.
        around = ((cell + .5) * stride - boxes[:, :, None, None, :2]).div(boxes[:, :, None, None, 2:].clamp(min=1))
        within = ((around > .25) & (around < .75)).all(-1) & faces[:, :, None, None]
        neighbour = (size >= level[0] * .6) & (size < level[1] * 1.6)
        unsure = ((within & (neighbour & ~only_here)[:, :, None, None]) | (near & ~inner)) & ~positive
        hit, ignored = positive.any(1), unsure.any(1)
        face = torch.where(positive, -away, torch.full_like(away, -1e9)).argmax(1)            # which of the four
        target = hit.float()
        scores = raw[..., :2]
        wrong = F.binary_cross_entropy_with_logits(scores, target[..., None].expand_as(scores), reduction="none")
        share = torch.sigmoid(scores.detach())
        focus = torch.where(hit[..., None], (1 - share).clamp(min=.1), share ** 2 * 4)
        weight = (hit | ~ignored).float()[..., None]
        total = total + (wrong * focus * weight).sum()
        counted = counted + hit.sum()
        if hit.any():
            page, row, column = hit.nonzero(as_tuple=True)
            which = face[page, row, column]
            at, box, scale = cell[row, column], boxes[page, which], size[page, which] / stride
            said, spots = raw[page, row, column, 2:6], raw[page, row, column, 6:].reshape(-1, 5, 2)
            centre = (box[:, :2] + box[:, 2:] / 2) / stride - at
            wide = torch.log((box[:, 2:] / stride).clamp(min=.1))
            goal = points[page, which] / stride - at[:, None]
            total = total + 2.0 * F.smooth_l1_loss(said[:, 2:], wide, beta=.05, reduction="sum")
            total = total + 2.0 * (F.smooth_l1_loss(said[:, :2], centre, beta=.05, reduction="none").sum(1) / scale).sum()
            total = total + 3.0 * (F.smooth_l1_loss(spots, goal, beta=.03, reduction="none").sum((1, 2)) / scale).sum()
    return total / counted.clamp(min=1)


def train_detector(scratch: Path, scale: float, device: str, training: Training) -> Detector:
    """Trains until the clock says stop."""
    torch.manual_seed(11)
    portraits = Portraits(scratch, scale, device)
    portraits.drawn.wait(.05, time.time() + 20)
    detector, sizes = Detector().to(device), PAGES if training.divide == 1 else FEW_PAGES
    training.begin([detector], 4e-3, warmup=80)
    while training.goes_on():
        if training.due(4):
            portraits.grow()
        side, count = sizes[int(torch.randint(len(sizes), ()))]
        count = training.batch(count)
        with torch.no_grad():
            page, boxes, points = pages(portraits, count, side)
        maps = detector(page.flip(1))
        training.update(detection_loss(maps, boxes, points), f"{len(portraits)} portraits")
    return training.averaged(detector)
