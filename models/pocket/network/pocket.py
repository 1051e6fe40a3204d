"""The exported checkpoint, loaded for drawing and for textual inversion (float32 on the CPU)."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from .models import SCHEDULE, use_plain_attention


class SplicedEmbedding(nn.Module):
    """The token table with `learned` rows appended; ids beyond the table pick learned rows."""

    def __init__(self, table: nn.Embedding):
        super().__init__()
        self.table, self.learned = table, None

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        weight = self.table.weight if self.learned is None else torch.cat([self.table.weight, self.learned])
        return F.embedding(ids, weight)


class Pocket:
    """Tokenizer, text encoder, UNet, autoencoder and DDIM sampler of one checkpoint folder."""

    def __init__(self, folder: Path, device: str = "cpu"):
        self.device = device
        self.tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        load = dict(torch_dtype=torch.float32)
        self.text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", **load).eval().to(device)
        self.unet = UNet2DConditionModel.from_pretrained(folder / "unet", **load).eval().to(device)
        self.vae = AutoencoderKL.from_pretrained(folder / "vae", **load).eval().to(device)
        use_plain_attention(self.text_encoder, self.unet)
        for model in (self.text_encoder, self.unet, self.vae):
            model.requires_grad_(False)
        self.scale = self.vae.config.scaling_factor
        self.scheduler = DDIMScheduler(clip_sample=False, **SCHEDULE)
        self.embedding = SplicedEmbedding(self.text_encoder.get_input_embeddings())
        self.text_encoder.set_input_embeddings(self.embedding)

    @property
    def table(self) -> torch.Tensor:
        """The frozen token table [V, D]."""
        return self.embedding.table.weight

    def ids(self, prompts: list[str], learned: torch.Tensor | None = None) -> torch.Tensor:
        """Padded token ids; with `learned` [K, D], each "sks" becomes K ids beyond the table."""
        length, rows = self.tokenizer.model_max_length, []
        placeholder = self.tokenizer.convert_tokens_to_ids("sks</w>")
        for prompt in prompts:
            row = self.tokenizer(prompt).input_ids
            if learned is not None:
                extra = [len(self.table) + k for k in range(len(learned))]
                row = [i for token in row for i in (extra if token == placeholder else [token])]
            if len(row) > length:
                raise ValueError(f"prompt has {len(row)} tokens, the context {length}: {prompt}")
            rows.append(row + [self.tokenizer.pad_token_id] * (length - len(row)))
        return torch.tensor(rows, device=self.device)

    def states(self, prompts: list[str], learned: torch.Tensor | None = None) -> torch.Tensor:
        """Text encoder states [B, L, D]."""
        self.embedding.learned = learned
        return self.text_encoder(self.ids(prompts, learned))[0]

    @torch.no_grad()
    def encode(self, pictures: np.ndarray) -> torch.Tensor:
        """uint8 [N, 64, 64, 3] to scaled latents."""
        x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().to(self.device) / 127.5 - 1
        return self.vae.encode(x).latent_dist.mean * self.scale

    @torch.no_grad()
    def draw(self, prompts: list[str], seed: int, steps: int = 20, guidance: float = 5.0,
             learned: torch.Tensor | None = None, batch: int = 16) -> np.ndarray:
        """Draws one picture a prompt by DDIM: uint8 [N, 64, 64, 3]. Noise depends on seed and position."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(prompts), 4, 16, 16, generator=generator).to(self.device)
        return np.concatenate([self._draw(prompts[i:i + batch], noise[i:i + batch], steps, guidance, learned)
                               for i in range(0, len(prompts), batch)])

    def _draw(self, prompts, latents, steps, guidance, learned) -> np.ndarray:
        context = torch.cat([self.states([""] * len(prompts), learned), self.states(prompts, learned)])
        self.scheduler.set_timesteps(steps)
        for timestep in self.scheduler.timesteps:
            with torch.autocast(self.device, torch.bfloat16):
                output = self.unet(torch.cat([latents, latents]), timestep, context).sample.float()
            plain, told = output.chunk(2)
            latents = self.scheduler.step(plain + guidance * (told - plain), timestep, latents).prev_sample
        pixels = self.vae.decode(latents / self.scale).sample
        return ((pixels.clamp(-1, 1) + 1) * 127.5 + .5).byte().permute(0, 2, 3, 1).cpu().numpy()
