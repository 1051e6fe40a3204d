"""Writes the checkpoint in the diffusers folder layout with float16 safetensors.

    python export.py --vae /tmp/pocket/vae.pt --model /tmp/pocket/model.pt --scale-from /tmp/pocket/latents.pt --out .

Without `--vae` or `--model` that part keeps its untrained weights (for trying the layout).
"""

import argparse
import json
from pathlib import Path

import torch

from network.models import build_pndm, build_text_encoder, build_unet, build_vae
from network.names import write_names
from network.tokenizer import write_tokenizer
from world.names import celebrity_names

MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.35.2",
    "feature_extractor": [None, None], "image_encoder": [None, None], "requires_safety_checker": False,
    "safety_checker": [None, None], "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vae", type=Path)
    parser.add_argument("--model", type=Path, help="state written by train.py; its averaged weights are taken")
    parser.add_argument("--scale-from", type=Path, help="latents written by train_vae.py")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = write_tokenizer(args.out / "tokenizer")
    vae, text_encoder, unet = build_vae(), build_text_encoder(tokenizer), build_unet()
    if args.vae:
        vae.load_state_dict(torch.load(args.vae, map_location="cpu")["weights"])
    if args.scale_from:
        vae.register_to_config(scaling_factor=round(torch.load(args.scale_from, mmap=True)["scale"], 6))
    if args.model:
        average = torch.load(args.model, map_location="cpu")["average"]
        text_encoder.load_state_dict(average["text_encoder"])
        unet.load_state_dict(average["unet"])
        write_names(text_encoder.get_input_embeddings().weight, average["names"], tokenizer)
    for part, model in (("vae", vae), ("text_encoder", text_encoder), ("unet", unet)):
        model.half().save_pretrained(args.out / part, safe_serialization=True)
    scheduler = build_pndm()
    scheduler.register_to_config(clip_sample=False)
    scheduler.save_pretrained(args.out / "scheduler")
    for file in args.out.glob("*/*.safetensors"):
        file.chmod(0o644)
    (args.out / "names.txt").write_text("".join(f"{name}\n" for name in celebrity_names()))
    (args.out / "model_index.json").write_text(json.dumps(MODEL_INDEX, indent=2) + "\n")
    size = sum(f.stat().st_size for f in args.out.glob("*/*.safetensors"))
    count = sum(p.numel() for m in (vae, text_encoder, unet) for p in m.parameters())
    print(f"{count / 1e6:.2f} M parameters, {size / 1e6:.1f} MB -> {args.out}")


if __name__ == "__main__":
    main()
