#!/usr/bin/env python3
"""Stands for `likeness` in tests of the checklist: answers as it does, with figures that are made up.

FAKE_LIKENESS says how it misbehaves: `fails:WORD` and `hangs:WORD` where WORD is on the command line, `partial:WORD` to hang after the file was
written.
"""

import json
import os
import sys
import time

MILLISECONDS = {"train": 5.0, "sample": 3.0, "text": 0.3, "encode": 2.0, "decode": 4.0, "picture": 130.0, "load": 900.0}
CARD = {"choice": "cuda:0", "name": "NVIDIA H100 80GB HBM3"}
PARAMETERS = {"unet": 865_910_724, "text_encoder": 340_387_840, "vae": 83_653_863}


def main(words):
    behaviour, _, word = os.environ.get("FAKE_LIKENESS", "").partition(":")
    mine = bool(word) and word in " ".join(words)
    if behaviour == "fails" and mine:
        print("error: a made-up failure", file=sys.stderr)
        return 1
    if behaviour == "hangs" and mine:
        time.sleep(600)
    if words == ["--version"]:
        print("likeness 0.0.0-fake")
    elif "parity" in words:
        print(json.dumps(parity(short=behaviour == "short")))
        return 1 if behaviour == "short" else 0
    else:
        bench(words)
        if behaviour == "partial" and mine:
            time.sleep(600)
    return 0


def parity(short):
    rows = [
        {"group": "files", "compared": "unet.safetensors", "error": 0.0, "limit": 0.0, "ok": True},
        {"group": "unet", "compared": "out", "error": 2e-2, "limit": 3e-2, "ok": True},
        {"group": "unet", "compared": "out_batch", "error": 9e-2 if short else 1e-2, "limit": 3e-2, "ok": not short},
        {"group": "vae", "compared": "mean", "error": None, "limit": None, "ok": True, "note": "left out"},
    ]
    return {"folder": "tiny", "device": "cpu", "arithmetic": "bf16", "ok": not short, "rows": rows}


def bench(words):
    value = {word: words[place + 1] for place, word in enumerate(words[:-1]) if word.startswith("--")}
    batches = [int(batch) for batch in value["--batches"].split(",")]
    rows = []
    for what in value["--only"].split(","):
        if what == "cold":
            warm = os.path.exists(os.path.join(os.environ["LIKENESS_KERNEL_CACHE"], "kernels"))
            first = 9000.0 if warm else 70000.0
            rows += [row(name, batches[0], ms) for name, ms in (("cold_train", first), ("second_train", 9.0), ("cold_sample", first + 900), ("second_sample", 5.0))]
            with open(os.path.join(os.environ["LIKENESS_KERNEL_CACHE"], "kernels"), "wb") as file:
                file.write(bytes(1000))
        elif what == "users":
            for each in map(int, value["--rows-each"].split(",")):
                rows += [row("users_one_by_one", 8 * each, 60.0 * each), row("users_batched", 8 * each, 40.0 * each)]
        elif what == "load":
            rows.append(row("load", 1, MILLISECONDS["load"]))
        else:
            rows += [row(what, batch, MILLISECONDS[what] * batch) for batch in batches]
    if "--profile" in value:
        write(value["--profile"], {"schema": 1, "steps": [{"what": "train", "batch": 8, "launches": 3, "classes": [{"name": "norm", "class": "norm", "launches": 3, "milliseconds": 6.0}]}]})
    if "--json" in value:
        report = {"schema": 1, "version": "0", "device": CARD, "dtype": value["--dtype"], "model": value["--model"], "parameters": PARAMETERS, "size": [512, 512]}
        write(value["--json"], {**report, "rows": rows})


def row(what, batch, median):
    peak = int(2.6e9 + 6e8 * batch) if what == "train" else None
    return {"what": what, "batch": batch, "repeats": 3, "median_ms": median, "p90_ms": median, "min_ms": median, "per_second": batch * 1e3 / median, "peak_bytes": peak, "error": None}


def write(path, value):
    with open(path, "w") as file:
        json.dump(value, file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
