"""Trains the autoencoder on wall-clock time and writes it with the latents of the whole data set.

    python train_vae.py --data /tmp/pocket/data.npz --out /tmp/pocket/vae.pt --minutes 18

Loss: L1 + 0.5 MSE + an L1 on picture gradients (keeps eyes, lips and frames sharp) + an L1 on 4x4
means (keeps colours) + 1e-6 KL. A weights file that exists is trained further.
`--latents` afterwards writes the encoded data set for train.py.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from network.models import build_vae
from network.training import Average, Clock, Log, learning_rate, shuffled_batches


def gradients(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences to the right and lower neighbours."""
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def loss_of(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 + 0.5 MSE + L1 of gradients + L1 of 4x4 means (keeps rare hair colours from fading)."""
    edges = sum(F.l1_loss(a, b) for a, b in zip(gradients(output), gradients(target)))
    colour = F.l1_loss(F.avg_pool2d(output, 4), F.avg_pool2d(target, 4))
    return F.l1_loss(output, target) + .5 * F.mse_loss(output, target) + .7 * edges + .7 * colour


def load_pictures(path: Path) -> torch.Tensor:
    """uint8 [N, 3, 64, 64]."""
    return torch.from_numpy(np.load(path)["images"]).permute(0, 3, 1, 2)


def to_unit(pictures: torch.Tensor, device: str) -> torch.Tensor:
    """uint8 to floats in -1..1."""
    return pictures.to(device).float() / 127.5 - 1


@torch.no_grad()
def write_latents(vae, pictures, path: Path, device: str) -> None:
    """Encodes every picture (the mode of its posterior), scaled to unit deviation, as float16."""
    parts = []
    for start in range(0, len(pictures), 256):
        with torch.autocast(device, torch.bfloat16):
            posterior = vae.encode(to_unit(pictures[start:start + 256], device)).latent_dist
        parts.append(posterior.mean.float().cpu())
    latents = torch.cat(parts)
    scale = 1 / latents.std().item()
    torch.save({"latents": (latents * scale).half(), "scale": scale}, path)
    print(f"{len(latents)} latents, scaling_factor {scale:.5f} -> {path}")


@torch.no_grad()
def write_reconstructions(vae, pictures, path: Path, device: str) -> float:
    """Writes pictures above their reconstructions and returns the L1 error in -1..1."""
    chosen = to_unit(pictures[:: max(1, len(pictures) // 64)][:64], device)
    output = vae.decode(vae.encode(chosen).latent_dist.mean).sample.float().clamp(-1, 1)
    pairs = torch.cat([chosen[:12], output[:12], chosen[-12:], output[-12:]])
    pixels = ((pairs.cpu() + 1) * 127.5).byte().permute(0, 2, 3, 1).reshape(4, 12, 64, 64, 3)
    sheet = pixels.permute(0, 2, 1, 3, 4).reshape(4 * 64, 12 * 64, 3).numpy()
    Image.fromarray(sheet).resize((12 * 96, 4 * 96), Image.NEAREST).save(path)
    return F.l1_loss(output, chosen).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="weights, and state to resume from")
    parser.add_argument("--latents", type=Path, help="also encode the data set into this file")
    parser.add_argument("--minutes", type=float, default=18)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--hold", type=float, default=.4, help="fraction of the time before the rate decays")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    pictures = load_pictures(args.data)
    vae = build_vae().to(args.device)
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(parameters, args.rate, betas=(.9, .99), weight_decay=1e-4, fused=True)
    step, spent = 0, 0.0
    if args.out.exists():
        state = torch.load(args.out, map_location=args.device)
        vae.load_state_dict(state["weights"])
        step, spent = state["step"], state["spent"]
    average, clock = Average(parameters, .998), Clock(args.minutes, spent)
    log = Log(args.out.with_suffix(".jsonl"))
    print(f"{sum(p.numel() for p in parameters) / 1e6:.2f} M parameters, {len(pictures)} pictures")
    batches = shuffled_batches(len(pictures), args.batch, torch.Generator().manual_seed(args.seed + step))
    running, first = None, step
    while not clock.over:
        rate = learning_rate(args.rate, step - first, clock.fraction, hold=args.hold)
        for group in optimizer.param_groups:
            group["lr"] = rate
        target = to_unit(pictures[next(batches)], args.device)
        with torch.autocast(args.device, torch.bfloat16):
            posterior = vae.encode(target).latent_dist
            output = vae.decode(posterior.sample()).sample
        loss = loss_of(output.float(), target) + 1e-6 * posterior.kl().float().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        average.update(parameters)
        step += 1
        running = loss.item() if running is None else .98 * running + .02 * loss.item()
        if step % 100 == 0:
            log.write(step=step, loss=running, l1=F.l1_loss(output.float(), target).item(), rate=rate,
                      seconds=clock.spent)
    average.copy_to(parameters)
    vae.eval()
    torch.save({"weights": vae.state_dict(), "step": step, "spent": clock.spent}, args.out)
    error = write_reconstructions(vae, pictures, args.out.with_suffix(".png"), args.device)
    log.write(step=step, reconstruction_l1=error, seconds=clock.spent)
    if args.latents:
        write_latents(vae, pictures, args.latents, args.device)


if __name__ == "__main__":
    main()
