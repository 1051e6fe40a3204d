"""Stands for PyTorch's side in tests of the checklist. FAKE_REFERENCE: `missing`, or the stage that fails."""

import json
import os
import sys

STAGE, WORDS = sys.argv[1], sys.argv[2:]
PARAMETERS = {"unet": 865_910_724, "text_encoder": 340_387_840, "vae": 83_653_863}
SPEED = {"eager": 1.0, "channels_last": 0.8, "compile": 0.7}
MILLISECONDS = {"train": 9.0, "sample": 4.0, "picture": 200.0}

behaviour = os.environ.get("FAKE_REFERENCE", "")
if behaviour == "missing":
    print("PyTorch's side needs torch, diffusers and transformers: ModuleNotFoundError: No module named 'diffusers'", file=sys.stderr)
    sys.exit(3)
if STAGE == "versions":
    print(json.dumps({"torch": "0.fake", "diffusers": "0.fake", "transformers": "0.fake"}))
    sys.exit(0)
if behaviour == STAGE:
    print("RuntimeError: a made-up failure", file=sys.stderr)
    sys.exit(1)
if STAGE == "weights":
    os.makedirs(os.path.join(WORDS[WORDS.index("--folder") + 1], "unet"))
    sys.exit(0)


def numbers(option):
    from_here = WORDS[WORDS.index(option) + 1 :]
    ends = next((place for place, word in enumerate(from_here) if word.startswith("--")), len(from_here))
    return [int(word) for word in from_here[:ends]]


with open(WORDS[WORDS.index("--out") + 1], "a") as file:
    if STAGE == "card":
        rows = [{"list": "card", "name": "NVIDIA H100", "tflops": 780.0, "terabytes_per_second": 2.9}]
    else:
        rows = [{"list": "models", "variant": STAGE, "parameters": PARAMETERS}]
        measured = [("train", batch, MILLISECONDS["train"] * batch) for batch in numbers("--batches")]
        measured += [("users_one_by_one", 8 * rows_each, 90.0 * rows_each) for rows_each in numbers("--rows-each")]
        measured += [(what, batch, MILLISECONDS[what] * batch) for what in ("sample", "picture") for batch in numbers("--drawing-batches")]
        for what, batch, median in measured:
            peak = int(2.6e9 + 8e8 * batch)
            rows.append({"list": "rows", "variant": STAGE, "what": what, "batch": batch, "median_ms": median * SPEED[STAGE], "peak_bytes": peak, "error": None})
    for row in rows:
        file.write(json.dumps(row) + "\n")
    file.write('{"list": "rows", "cut o')
