#!/usr/bin/env python3
"""Write image_to_image.safetensors: pictures begun at a picture, by the reference library (tests/fixtures/requirements.txt).

    OMP_NUM_THREADS=1 python3 make_image_to_image.py

StableDiffusionImg2ImgPipeline on tests/fixtures/tiny-v, prompts and seed of its manifest, from its ref/ddim.png, which has the
size of the picture to draw, so that nothing is resampled. For every sampler: `NAME_first`, the latents before the first call, and
`NAME_last`, those after the last one.
"""
import json
from pathlib import Path

import torch
from diffusers import (DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, PNDMScheduler,
                       StableDiffusionImg2ImgPipeline)
from PIL import Image
from safetensors.torch import save_file

HERE = Path(__file__).parent
FOLDER = HERE / "../../../tests/fixtures/tiny-v"
STEPS, STRENGTH = 10, 0.6
CLASSES = {"ddim": DDIMScheduler, "pndm": PNDMScheduler, "euler": EulerDiscreteScheduler, "dpmpp": DPMSolverMultistepScheduler}

settings = json.loads((FOLDER / "manifest.json").read_text())["generation"]
pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(FOLDER / "model", torch_dtype=torch.float32, low_cpu_mem_usage=False)
pipeline.set_progress_bar_config(disable=True)
config = dict(pipeline.scheduler.config)
prepare = pipeline.prepare_latents
tensors = {}


def draw(name):
    def kept(*arguments, **named):
        tensors[f"{name}_first"] = prepare(*arguments, **named)
        return tensors[f"{name}_first"].clone()

    pipeline.prepare_latents = kept
    pipeline.scheduler = CLASSES[name].from_config(config)
    tensors[f"{name}_last"] = pipeline(
        settings["prompt"], negative_prompt=settings["negative"], image=Image.open(FOLDER / "ref/ddim.png").convert("RGB"),
        strength=STRENGTH, num_inference_steps=STEPS, guidance_scale=settings["guidance_scale"],
        generator=torch.Generator().manual_seed(settings["seed"]), output_type="latent").images


for name in CLASSES:
    draw(name)
save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, HERE / "image_to_image.safetensors")
