"""Textual inversion as the product does it: two token vectors, everything else frozen."""

import torch

from network.pocket import Pocket

TEMPLATES = ("a photo of sks", "a close-up photo of sks", "a good photo of sks", "the photo of sks", "a portrait of sks",
             "a cropped photo of sks", "a bright photo of sks", "a picture of sks")
START = "human face"


def start_vectors(pocket: Pocket, phrase: str = START) -> torch.Tensor:
    """Rows of the token table for a phrase, [K, D]."""
    ids = pocket.tokenizer(phrase, add_special_tokens=False).input_ids
    return pocket.table[ids].detach().clone()


def invert(pocket: Pocket, photos, steps: int = 400, rate: float = 5e-3, seed: int = 0,
           templates: tuple[str, ...] = TEMPLATES[:1]) -> tuple[torch.Tensor, list[float]]:
    """Learns the person in `photos` (uint8 [N, 64, 64, 3]); every photo once an iteration, Adam.

    Returns the vectors [2, D] and the loss of each iteration.
    """
    latents = pocket.encode(photos)
    learned = start_vectors(pocket).requires_grad_(True)
    optimizer = torch.optim.Adam([learned], rate, betas=(.9, .98))
    alphas_cumprod = pocket.scheduler.alphas_cumprod
    generator = torch.Generator().manual_seed(seed)
    batch, losses = len(latents), []
    for _ in range(steps):
        strata = (torch.randperm(batch, generator=generator) + torch.rand(batch, generator=generator)) / batch
        timesteps = (strata * len(alphas_cumprod)).long()
        noise = torch.randn(latents.shape, generator=generator)
        alpha = alphas_cumprod[timesteps][:, None, None, None]
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        picks = torch.randint(len(templates), (batch,), generator=generator)
        states = pocket.states([templates[i] for i in picks], learned)
        with torch.autocast(pocket.device, torch.bfloat16):
            predicted = pocket.unet(noisy, timesteps, states).sample
        loss = ((predicted.float() - noise) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return learned.detach(), losses
