"""Rewrites a longer-trained autoencoder so that its latents are those of an earlier one.

    python align_vae.py --earlier /tmp/pocket/vae.pt --later /tmp/pocket/vae2.pt --out /tmp/pocket/vae-aligned.pt

A UNet trained on the earlier latents then draws through the later, sharper decoder. Training further
mostly rescales the latents; the affine map between the two (fitted on fresh pictures) is exact to
undo, because the autoencoder ends its encoder and begins its decoder with a 1x1 convolution.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from draw import unnamed_picture
from network.models import LATENT_CHANNELS, build_vae
from train_vae import to_unit, write_reconstructions

FRESH_PICTURES = 900_000


@torch.no_grad()
def latents_of(vae, pictures: torch.Tensor) -> torch.Tensor:
    """Posterior means as rows [N * 16 * 16, C]."""
    return vae.encode(to_unit(pictures, "cpu")).latent_dist.mean.permute(0, 2, 3, 1).reshape(-1, LATENT_CHANNELS)


@torch.no_grad()
def apply(vae, matrix: torch.Tensor, offset: torch.Tensor) -> None:
    """Makes `vae` encode to `latent @ matrix + offset` and decode from it."""
    mean = slice(0, LATENT_CHANNELS)
    weight, bias = vae.quant_conv.weight, vae.quant_conv.bias
    weight[mean] = torch.einsum("ij,ikab->jkab", matrix, weight[mean].clone())
    bias[mean] = bias[mean].clone() @ matrix + offset
    inverse = torch.linalg.inv(matrix)
    weight, bias = vae.post_quant_conv.weight, vae.post_quant_conv.bias
    bias -= torch.einsum("kiab,i->k", weight, offset @ inverse)
    weight.copy_(torch.einsum("kiab,ji->kjab", weight.clone(), inverse))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--earlier", type=Path, required=True)
    parser.add_argument("--later", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=64)
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = np.stack([unnamed_picture(FRESH_PICTURES + k)[0] for k in range(args.pictures)])
    pictures = torch.from_numpy(images).permute(0, 3, 1, 2)
    earlier, later = build_vae().eval(), build_vae().eval()
    earlier.load_state_dict(torch.load(args.earlier)["weights"])
    state = torch.load(args.later)
    later.load_state_dict(state["weights"])
    target, source = latents_of(earlier, pictures), latents_of(later, pictures)
    rows = torch.cat([source, torch.ones(len(source), 1)], 1)
    solution = torch.linalg.lstsq(rows, target).solution
    before = write_reconstructions(later, pictures, args.out.with_suffix(".png"), "cpu")
    apply(later, solution[:-1], solution[-1])
    after = write_reconstructions(later, pictures, args.out.with_suffix(".png"), "cpu")
    left = ((latents_of(later, pictures) - target) ** 2).mean(0) / target.var(0)
    torch.save({**state, "weights": later.state_dict()}, args.out)
    print(f"unexplained variance of latents {left.tolist()}, reconstruction L1 {before:.5f} before, {after:.5f} after")


if __name__ == "__main__":
    main()
