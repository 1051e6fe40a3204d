"""Part (d): from the start of the process to the end of the first step, with nothing compiled and with the kernels of a run before.

Kernels that were compiled and tuned are kept in the folder of LIKENESS_KERNEL_CACHE. The weights are on a local disk where
PyTorch can write them there, as in a worker's life; else they are made on the device.
"""

import shutil

import pytorch
import speed
from settings import FIXTURES

# A model of full size in fp16, and as much again to breathe.
BYTES_NEEDED = 6e9
WRITING_SECONDS = 60


def work(part):
    model, part.found["weights"] = weights(part)
    cache = part.folder / "kernels-cold"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    for name, share in (("without_kernels", 0.65), ("with_kernels", 0.95)):
        path = part.folder / f"bench-{name}.json"
        line = speed.command_line(part, model, ["cold"], [part.settings.training_batches[0]])
        ended = part.run([*line, "--json", path], share=share, LIKENESS_KERNEL_CACHE=str(cache))
        report = speed.read(path) or {}
        part.found[name] = {"process_seconds": round(ended.seconds, 2), "rows": report.get("rows", [])}
    part.found["kernel_bytes"] = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())


def weights(part):
    """The model to load, and a word about it."""
    settings = part.settings
    if settings.dry:
        return settings.model, "made on the device: the dry form writes none"
    folder = part.folder / "model"
    if (folder / "unet").is_dir():
        return folder, "fp16 in safetensors on a local disk"
    if shutil.disk_usage(part.folder).free < BYTES_NEEDED:
        return settings.model, "made on the device: too little disk for a folder"
    missing = pytorch.missing(part)
    if missing:
        part.failures.clear()
        part.late = False
        return settings.model, f"made on the device: {missing}"
    unfinished = part.folder / "model-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    line = pytorch.line(part, "weights", ["--folder", unfinished])
    if part.run(line, most=WRITING_SECONDS).code != 0:
        part.found["weights_failure"] = part.failures.pop()
        part.late = False
        return settings.model, "made on the device: PyTorch did not write them"
    shutil.copytree(FIXTURES / "tiny-a" / "model" / "tokenizer", unfinished / "tokenizer")
    unfinished.rename(folder)
    return folder, "fp16 in safetensors on a local disk"
