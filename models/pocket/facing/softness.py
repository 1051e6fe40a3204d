"""The softness of pictures that the pocket model draws: through its autoencoder, or through a step of its UNet.

Identities and scenes stay those of the drawn picture, so nothing is learned of the people whom the model
knows. Needs diffusers; where it is missing, `load` says so and trainers do with blur and noise.
"""

from pathlib import Path

import torch

HERE = Path(__file__).parent.parent


class Softness:
    """The frozen autoencoder and UNet of a checkpoint folder."""

    def __init__(self, device: str, folder: Path = HERE):
        from network.pocket import Pocket

        self.pocket, self.device = Pocket(folder, device), device
        with torch.no_grad():
            self.context = self.pocket.states(["a photo of a person"])
        self.alphas = self.pocket.scheduler.alphas_cumprod.to(device)

    @torch.no_grad()
    def __call__(self, x: torch.Tensor, latest: int = 320) -> torch.Tensor:
        """Pictures [N, 3, 64, 64], RGB 0..255, as the model would have drawn them.

        Half of them only pass the autoencoder; the others lose up to `latest` steps to noise first, and get
        back what the UNet makes of it.
        """
        n, vae, scale = len(x), self.pocket.vae, self.pocket.scale
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device != "cpu"):
            latents = vae.encode(x / 127.5 - 1).latent_dist.sample().float() * scale
            half = n // 2
            if half:
                times = torch.randint(40, latest, (half,), device=x.device)
                alpha = self.alphas[times][:, None, None, None]
                noisy = alpha.sqrt() * latents[:half] + (1 - alpha).sqrt() * torch.randn_like(latents[:half])
                guess = self.pocket.unet(noisy, times, self.context.expand(half, -1, -1)).sample.float()
                latents[:half] = (noisy - (1 - alpha).sqrt() * guess) / alpha.sqrt()
            return ((vae.decode(latents / scale).sample.float() + 1) * 127.5).clamp(0, 255)


def load(device: str) -> Softness | None:
    """The softness of the checkpoint in this folder, or None with a word why."""
    try:
        return Softness(device)
    except Exception as error:      # a missing package is no reason to train nothing
        print(f"without the pocket model's softness: {type(error).__name__}: {error}", flush=True)
        return None
