#!/usr/bin/env python3
"""Write sampler_vectors.json: walks of the reference library's schedulers (diffusers 0.35.2, torch 2.8.0, CPU).

    python3 make_sampler_vectors.py > sampler_vectors.json

Each case: a scheduler class made from_config of a file, the number of steps, and the whole walk: timesteps, sigmas,
init_noise_sigma, and for every call the latents before it and the network's output (a function of latents and timestep
that stands in for a network). The last row of latents is the result.

Cases with `skipped` begin at a picture, as the library's image-to-image pipeline begins: `clean` latents and `noise` through
add_noise at the first of the timesteps that its get_timesteps leaves of the walk.
"""
import json
from types import SimpleNamespace

import numpy as np
import torch
from diffusers import (DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, PNDMScheduler,
                       StableDiffusionImg2ImgPipeline)

BASE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
        "clip_sample": False, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1}
CLASSES = {"ddim": DDIMScheduler, "pndm": PNDMScheduler, "euler": EulerDiscreteScheduler, "dpmpp": DPMSolverMultistepScheduler}
FILES = [
    {},
    {"prediction_type": "v_prediction"},
    {"timestep_spacing": "leading", "prediction_type": "v_prediction"},
    {"timestep_spacing": "trailing", "steps_offset": 0},
    {"timestep_spacing": "linspace"},
    {"set_alpha_to_one": True, "clip_sample": True, "clip_sample_range": 0.8, "steps_offset": 0},
    {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},
    {"final_sigmas_type": "sigma_min", "euler_at_final": True},
    {"final_sigmas_type": "sigma_min", "lower_order_final": False},
    {"final_sigmas_type": "sigma_min"},
]
# (steps, strength) of the late starts: all steps, all but one, some, and the last one alone.
LATE = [(20, 1.0), (20, 0.97), (20, 0.94), (20, 0.5), (7, 0.2)]
STEPS = {"ddim": [1, 2, 7, 20], "pndm": [1, 2, 3, 7, 20], "euler": [2, 7, 20], "dpmpp": [1, 2, 7, 20]}


def network(latents, timestep):
    return 1.3 * torch.sin(latents * 0.9 + float(timestep) / 300) + 0.2 * latents / (1 + latents.abs())


def digits(tensor):
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]


def walk(kind, extra, steps, strength=None):
    file = {"_class_name": "PNDMScheduler", **BASE, **extra}
    scheduler = CLASSES[kind].from_config({k: v for k, v in file.items() if k != "_class_name"})
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(steps)
    case = {"sampler": kind, "file": file, "steps": steps, "init_noise_sigma": float(scheduler.init_noise_sigma)}
    timesteps, sigmas = scheduler.timesteps, scheduler.sigmas if kind in ("euler", "dpmpp") else torch.zeros(0)
    if strength is None:
        latents = torch.randn((1, 1, 2, 2), generator=generator) * scheduler.init_noise_sigma
    else:
        pipeline = SimpleNamespace(scheduler=scheduler)
        timesteps, left = StableDiffusionImg2ImgPipeline.get_timesteps(pipeline, steps, strength, "cpu")
        clean, noise = (torch.randn((1, 1, 2, 2), generator=generator) for _ in range(2))
        latents = scheduler.add_noise(clean, noise, timesteps[:1])
        sigmas = sigmas[steps - left:]
        case |= {"strength": strength, "skipped": steps - left, "clean": digits(clean), "noise": digits(noise)}
    rows, outputs = [digits(latents)], []
    for timestep in timesteps:
        output = network(scheduler.scale_model_input(latents, timestep), timestep)
        latents = scheduler.step(output, timestep, latents).prev_sample
        outputs.append(digits(output))
        rows.append(digits(latents))
    return case | {"timesteps": digits(timesteps.float()), "sigmas": digits(sigmas), "outputs": outputs, "latents": rows}


cases = []
for kind, counts in STEPS.items():
    for extra in FILES:
        if kind in ("ddim", "pndm", "euler") and ("euler_at_final" in extra or "lower_order_final" in extra):
            continue
        walks = [(steps,) for steps in (counts if not extra else counts[-2:])]
        walks += LATE if not extra else [(20, 0.5)]
        for steps_and_strength in walks:
            case = walk(kind, extra, *steps_and_strength)
            if np.isfinite(case["latents"]).all():
                cases.append(case)
print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]")
