"""The figures of bench_model.rs beside those of PyTorch and diffusers, for the same model folder, one thread each.

    python cli/examples/bench_model.py target/release/examples/bench_model DIR [REPEATS] [BATCH]

Both are run in turn, three times over; every figure is the median of the three medians. Needs torch, diffusers and
transformers (models/pocket/requirements.txt pins them). One figure is PyTorch's alone: the step with the
weights' gradients, which a frozen model does not need.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel

WARM_UP = 3
ROUNDS = 3


def main(program, folder, repeats=15, batch=8):
    rounds = [(ours(program, folder, repeats, batch), torchs(Path(folder), repeats, batch)) for _ in range(ROUNDS)]
    print(f"{folder}, batch {batch}, one thread, milliseconds of processor time; torch {torch.__version__}; {ROUNDS} rounds of {repeats}")
    print(f"{'':<42}{'ours':>9}{'PyTorch':>9}{'ratio':>7}")
    for name in rounds[0][1]:
        theirs = statistics.median(round[1][name] for round in rounds)
        if name not in rounds[0][0]:
            print(f"{name:<42}{'':>9}{theirs:>9.1f}")
            continue
        mine = statistics.median(round[0][name] for round in rounds)
        print(f"{name:<42}{mine:>9.1f}{theirs:>9.1f}{mine / theirs:>7.2f}")


def ours(program, folder, repeats, batch):
    """What the program prints, by name."""
    command = [program, str(folder), str(repeats), str(batch)]
    printed = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env={**os.environ, "RAYON_NUM_THREADS": "1"}).stdout
    return {line.split()[0]: float(line.split()[1]) for line in printed.splitlines()[1:]}


def torchs(folder, repeats, batch):
    """The same figures with PyTorch."""
    torch.set_num_threads(1)
    figures = {}
    text, unet = load(folder)
    scheduler = DDIMScheduler.from_config(json.loads((folder / "scheduler/scheduler_config.json").read_text()))
    size = unet.config.sample_size
    height, width = (size, size) if isinstance(size, int) else size
    shape = (batch, unet.config.in_channels, height, width)

    generator = torch.Generator("cpu").manual_seed(0)
    latents, noise = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    timesteps = torch.tensor([(2 * row + 1) * 500 // batch for row in range(batch)])
    table = text.text_model.embeddings.token_embedding.weight.detach()
    length = max_length(folder, text)
    ids = torch.randint(0, table.shape[0], (batch, length), generator=generator)
    vectors = table[:2].clone()

    def context_of(learned):
        # Row 5 and 6 of every caption are the learned vectors.
        embeddings = torch.nn.functional.embedding(ids, table)
        embeddings = torch.cat([embeddings[:, :5], learned.expand(batch, -1, -1), embeddings[:, 7:]], dim=1)
        hidden = embeddings + text.text_model.embeddings.position_embedding.weight[:length]
        mask = torch.full((length, length), torch.finfo(torch.float32).min).triu(1)[None, None]
        hidden = text.text_model.encoder(inputs_embeds=hidden, causal_attention_mask=mask).last_hidden_state
        return text.text_model.final_layer_norm(hidden)

    with torch.no_grad():
        context = context_of(vectors)
        for rows in sorted({1, 2, batch}):
            run = lambda: unet(latents[:rows], timesteps[:rows], context[:rows]).sample
            figures[f"unet_forward_batch_{rows}"] = median(repeats, run)

    velocity = scheduler.config.prediction_type == "v_prediction"
    target = scheduler.get_velocity(latents, noise, timesteps) if velocity else noise
    noisy = scheduler.add_noise(latents, noise, timesteps)

    def step():
        learned = vectors.clone().requires_grad_()
        prediction = unet(noisy, timesteps, context_of(learned)).sample
        loss = (prediction - target).square().mean(dim=(1, 2, 3)).mean()
        loss.backward()
        return learned.grad

    @torch.no_grad()
    def forward():
        return unet(noisy, timesteps, context_of(vectors)).sample

    full, plain = median(repeats, step), median(repeats, forward)
    figures[f"training_step_batch_{batch}"] = full
    figures[f"forward_without_gradient_batch_{batch}"] = plain
    figures["training_step_over_forward"] = full / plain
    unet.requires_grad_(True)
    text.requires_grad_(True)
    figures[f"training_step_with_weight_gradients_batch_{batch}"] = median(repeats, step)
    return figures


def load(folder):
    options = dict(torch_dtype=torch.float32, local_files_only=True)
    text = CLIPTextModel.from_pretrained(folder / "text_encoder", **options).eval().requires_grad_(False)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", **options).eval().requires_grad_(False)
    return text, unet


def max_length(folder, text):
    config = folder / "tokenizer/tokenizer_config.json"
    length = json.loads(config.read_text()).get("model_max_length") if config.exists() else None
    most = text.config.max_position_embeddings
    return most if length is None else min(int(length), most)


def median(repeats, run):
    for _ in range(WARM_UP):
        run()
    timings = []
    for _ in range(repeats):
        started = time.process_time()
        run()
        timings.append((time.process_time() - started) * 1e3)
    return statistics.median(timings)


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
