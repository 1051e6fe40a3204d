"""Trains the image-text pair: contrastive, on strangers and captions that name nobody.

A caption counts as right for every picture of the batch that it is true of (facts.py). Besides, both sides have
to say which facts they carry, from the vectors before projection: that is learned sooner than the contrast.
"""

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPModel, CLIPTokenizer

from . import pictures as p
from .drawing import CAPTIONS
from .facts import CLAIMS, KINDS
from .pair import POCKET_TOKENIZER, build_pair, picture_vectors, text_vectors, token_ids
from .pool import Pool
from .schedule import Training

BATCH = 1024
ASIDE = .15                 # weight of saying facts


class Portraits(Pool):
    """Drawn pictures with their captions and facts on the device."""

    def __init__(self, scratch: Path, scale: float, device: str, tokenizer: CLIPTokenizer):
        super().__init__(scratch, scale, device, "pair", ("soft", "captions", "true", "claimed"))
        self.tokenizer = tokenizer

    def _read(self, field: str, rows: np.ndarray) -> torch.Tensor:
        if field != "captions":
            return super()._read(field, rows)
        said = [text.decode() for text in self.drawn.arrays["captions"][rows].ravel()]
        # Prompts say "person" where captions say "a person": both are right.
        said = [s.replace("of a person", "of person") if i % 7 == 0 else s for i, s in enumerate(said)]
        return token_ids(self.tokenizer, said).reshape(len(rows), CAPTIONS, -1).to(self.device)

    @torch.no_grad()
    def batch(self, count: int) -> tuple[torch.Tensor, ...]:
        """Pictures RGB 0..255, ids of one caption each, facts of the pictures, facts of the captions."""
        x, pick = self.pick(count, .4)
        which = torch.randint(CAPTIONS, (count,), device=self.device)
        x = p.jpeg(p.light(x, .5, .1), .25)
        x = p.noise(p.blur(_moved(x), .3, .3, .8), .25, 6).clamp(0, 255)
        return x, self["captions"][pick, which], self["true"][pick].float(), self["claimed"][pick, which].float()


def _moved(x: torch.Tensor) -> torch.Tensor:
    """Pictures mirrored, shifted and scaled a little."""
    n = len(x)
    scale, shift = 1 + .06 * torch.randn(n, device=x.device), .06 * torch.randn(n, 2, device=x.device)
    side = torch.where(torch.rand(n, device=x.device) < .5, -1.0, 1.0) * scale
    zero = torch.zeros_like(scale)
    turn = torch.stack([torch.stack([side, zero, shift[:, 0]], 1), torch.stack([zero, scale, shift[:, 1]], 1)], 1)
    return F.grid_sample(x, F.affine_grid(turn, x.shape, align_corners=False), padding_mode="border", align_corners=False)


def contrast(images: torch.Tensor, texts: torch.Tensor, sharpness: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Both ways: how much of a softmax falls on what is right; `right` [N, N] says which caption is true of which picture."""
    logits = sharpness.exp().clamp(max=60) * F.normalize(images.float()) @ F.normalize(texts.float()).T
    never = torch.finfo(logits.dtype).min
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    # The own caption; and of the others only wrong ones count against it.
    against = logits.masked_fill(right & ~own, never)
    who = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(against, who) + F.cross_entropy(against.T, who)) / 2


def train_pair(scratch: Path, scale: float, device: str, training: Training) -> CLIPModel:
    """Trains until the clock says stop."""
    torch.manual_seed(41)
    tokenizer = CLIPTokenizer.from_pretrained(POCKET_TOKENIZER)
    portraits = Portraits(scratch, scale, device, tokenizer)
    portraits.drawn.wait(.1, time.time() + 30)
    model = build_pair(tokenizer).to(device)
    sees, reads = (nn.Linear(width, len(CLAIMS)).to(device) for width in (model.config.vision_config.hidden_size, model.config.text_config.hidden_size))
    training.begin([model, sees, reads], 2e-3, warmup=200, decay=.05)
    while training.goes_on():
        if training.due(4):
            portraits.grow()
        x, ids, true, claimed = portraits.batch(training.batch(BATCH))
        with torch.autocast(device, torch.bfloat16, enabled=device != "cpu"):
            images, seen = picture_vectors(model, x)
            texts, read = text_vectors(model, ids)
        right = (claimed @ (1 - true).T == 0).T         # [pictures, captions]: nothing claimed is untrue
        loss = contrast(images, texts, model.logit_scale, right)
        aside = F.binary_cross_entropy_with_logits(sees(seen.float()), true) + F.binary_cross_entropy_with_logits(reads(read.float()), claimed)
        training.update(loss + ASIDE * len(KINDS) * aside, f"{len(portraits)} pictures, contrast {loss.item():.3f}" if training.step % 50 == 0 else "")
    return training.averaged(model)
