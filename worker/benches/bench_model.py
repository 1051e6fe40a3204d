"""The figures of examples/bench_model.rs with PyTorch and diffusers on one thread, for the same model folder.

    OMP_NUM_THREADS=1 python worker/benches/bench_model.py DIR [REPEATS] [BATCH]

Needs torch, diffusers and transformers (models/pocket/requirements.txt pins them). The last lines repeat the step
with the weights' gradients, which a frozen model does not need.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel

WARM_UP = 3


def main(folder, repeats=15, batch=8):
    torch.set_num_threads(1)
    folder = Path(folder)
    text, unet, factor = load(folder)
    scheduler = DDIMScheduler.from_config(json.loads((folder / "scheduler/scheduler_config.json").read_text()))
    size = unet.config.sample_size
    height, width = (size, size) if isinstance(size, int) else size
    shape = (batch, unet.config.in_channels, height, width)
    print(f"torch {torch.__version__}, 1 thread, latents {list(shape)} (factor {factor}), median of {repeats}")

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
            print(f"unet_forward_batch_{rows} {median(repeats, run):.1f} ms")

    velocity = scheduler.config.prediction_type == "v_prediction"
    target = scheduler.get_velocity(latents, noise, timesteps) if velocity else noise
    noisy = scheduler.add_noise(latents, noise, timesteps)

    def step():
        learned = vectors.clone().requires_grad_()
        prediction = unet(noisy, timesteps, context_of(learned)).sample
        loss = (prediction - target).square().mean(dim=(1, 2, 3)).mean()
        loss.backward()
        return learned.grad

    def forward(tracked):
        with torch.set_grad_enabled(tracked):
            return unet(noisy, timesteps, context_of(vectors.clone().requires_grad_(tracked))).sample

    full = median(repeats, step)
    plain, graphed = median(repeats, lambda: forward(False)), median(repeats, lambda: forward(True))
    print(f"training_step_batch_{batch} {full:.1f} ms")
    print(f"forward_without_gradient_batch_{batch} {plain:.1f} ms")
    print(f"forward_with_graph_batch_{batch} {graphed:.1f} ms")
    print(f"backward_batch_{batch} {full - graphed:.1f} ms")
    print(f"training_step_over_forward {full / plain:.2f}")
    unet.requires_grad_(True)
    text.requires_grad_(True)
    whole = median(repeats, step)
    print(f"training_step_with_weight_gradients_batch_{batch} {whole:.1f} ms")


def load(folder):
    options = dict(torch_dtype=torch.float32, local_files_only=True)
    text = CLIPTextModel.from_pretrained(folder / "text_encoder", **options).eval().requires_grad_(False)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", **options).eval().requires_grad_(False)
    vae = AutoencoderKL.load_config(folder / "vae", local_files_only=True)
    return text, unet, 2 ** (len(vae["block_out_channels"]) - 1)


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
        started = time.perf_counter()
        run()
        timings.append((time.perf_counter() - started) * 1e3)
    return statistics.median(timings)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
