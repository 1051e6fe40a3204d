"""The same work in PyTorch and diffusers: python3 reference STAGE ...; every row is a line of JSON in the file of --out.

Stages: `versions` (what is here), `card` (its arithmetic and its memory), `weights` (a folder of random weights), and the ways of running
PyTorch: `eager`, `channels_last`, `compile`, `graphs`. Exit code 3: a library or the card is not here.
"""

import argparse
import json
import sys
from pathlib import Path

NOT_HERE = 3
USERS = 8


def main():
    parser = argparse.ArgumentParser(prog="reference", description=__doc__)
    parser.add_argument("stage", choices=["versions", "card", "weights", "eager", "channels_last", "compile", "graphs"])
    parser.add_argument("--model", default="sd21-base")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bf16")
    parser.add_argument("--batches", type=int, nargs="*", default=[])
    parser.add_argument("--drawing-batches", type=int, nargs="*", default=[])
    parser.add_argument("--rows-each", type=int, nargs="*", default=[])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    try:
        import diffusers
        import torch
        import transformers
    except Exception as error:  # A library that is broken here is as good as none.
        why = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"PyTorch's side needs torch, diffusers and transformers: {why}", file=sys.stderr)
        return NOT_HERE
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("PyTorch finds no card that it can use", file=sys.stderr)
        return NOT_HERE
    if options.stage == "versions":
        modules = {"torch": torch, "diffusers": diffusers, "transformers": transformers}
        versions = {name: module.__version__ for name, module in modules.items()}
        if device.type == "cuda":
            versions["card"] = torch.cuda.get_device_name(device)
            versions["cuda"] = torch.version.cuda
        print(json.dumps(versions))
        return 0
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if options.stage == "weights":
        return write_weights(options, device)
    with options.out.open("a") as file:

        def tell(row):
            file.write(json.dumps(row) + "\n")
            file.flush()

        if options.stage == "card":
            import card

            tell({"list": "card", **card.measure(device)})
        else:
            measure(options, device, tell)
    return 0


def write_weights(options, device):
    from models import Models

    Models(options.model, device, "f16").save(options.folder)
    return 0


def measure(options, device, tell):
    """All rows of one way of running PyTorch, the most important ones first."""
    import steps
    import torch
    from clock import WARM_UPS, Clock
    from models import Models

    models = Models(options.model, device, options.dtype, options.stage)
    tell({"list": "models", "variant": options.stage, "parameters": models.parameters(), "weights_bytes": allocated(device)})
    clock = Clock(device, options.stage, options.repeats, options.seconds, tell)
    token_rows = models.with_learned_rows()
    torch.manual_seed(0)
    too_many = float("inf")
    for batch in options.batches:
        if batch < too_many and not clock.measure("train", batch, lambda: steps.training(models, batch, token_rows)):
            # What memory does not hold spares the larger ones.
            too_many = batch
    for rows in options.rows_each:
        clock.measure("users_one_by_one", USERS * rows, lambda: steps.training(models, rows, token_rows, USERS))
    for what, make in (
        ("sample", steps.sampling),
        ("text", steps.text),
        ("decode", steps.decoding),
        ("picture", lambda models, batch: steps.pictures(models, batch, options.steps)),
        ("encode", steps.encoding),
    ):
        for batch in options.drawing_batches:
            clock.measure(what, batch, lambda: make(models, batch), warm_ups=1 if what == "picture" else WARM_UPS)


def allocated(device):
    import torch

    return torch.cuda.memory_allocated(device) if device.type == "cuda" else None


if __name__ == "__main__":
    sys.exit(main())
