"""Part (c): the same work in PyTorch and diffusers, on the same card in the same run.

Every way of running it (eager, channels last, compiled, compiled into CUDA graphs) is a process of its own, so that its memory is freed
and a compilation that takes too long costs the others nothing.
"""

import json
import sys

from part import Skipped
from settings import REPOSITORY

PROGRAM = REPOSITORY / "tests" / "gpu_checklist" / "reference"
# What is asked of the compiled ways, which compile anew for every batch.
COMPILED = ("compile", "graphs")
COMPILED_BATCHES = (8, 1)
STARTING_SECONDS = 90
# The exit code of a process that lacks a library or a card.
NOT_HERE = 3
# Seconds that a process has to write its last row once it was told to end.
GRACE = 20


def work(part):
    reason = missing(part)
    if reason and part.failures:
        return
    if reason:
        raise Skipped(reason)
    settings = part.settings
    part.found["rows"] = []
    if not settings.dry:
        stage(part, "card", [], most=30)
    for place, variant in enumerate(settings.variants):
        share = 1 / (len(settings.variants) - place)
        compiled = variant in COMPILED
        training = [batch for batch in COMPILED_BATCHES if batch in settings.training_batches] if compiled else settings.training_batches
        drawing = training if compiled else settings.drawing_batches
        options = ["--batches", *training, "--drawing-batches", *drawing, "--steps", settings.steps, "--repeats", settings.repeats]
        options += ["--rows-each", *settings.rows_each]
        stage(part, variant, options, share=share)


def stage(part, name, options, share=1.0, most=None):
    """One process; its rows join those that the part has."""
    path = part.folder / f"pytorch-{name}.jsonl"
    path.unlink(missing_ok=True)
    seconds = min(part.left() * share, most or float("inf"))
    options = [*options, "--out", path, "--seconds", max(1, int(seconds - GRACE))]
    failures, late = len(part.failures), part.late
    part.run(line(part, name, options), share=share, most=most)
    for row in rows(path):
        part.found.setdefault(row.pop("list"), []).append(row)
    if name in COMPILED and len(part.failures) > failures:
        # Tried within the time that there is: what does not work there is told and fails nothing.
        part.found.setdefault("not_working", {})[name] = part.failures[failures:]
        del part.failures[failures:]
        part.late = late


def line(part, name, options):
    settings = part.settings
    known = ["--model", settings.architecture, "--device", settings.torch_device, "--dtype", settings.dtype]
    return [sys.executable, PROGRAM, name, *known, *options]


def missing(part):
    """Why PyTorch's side cannot be run here, as what a skipped part says or as a failure; None where it can. Takes note of the
    versions."""
    ended = part.run([sys.executable, PROGRAM, "versions", "--device", part.settings.torch_device], most=STARTING_SECONDS)
    if ended.code == 0:
        part.found["versions"] = json.loads(ended.stdout)
        return None
    if ended.code == NOT_HERE:
        part.failures.pop()
        return ended.stderr.strip().splitlines()[-1]
    return part.failures[-1]


def rows(path):
    """What a stage wrote; a last line that was cut off is left out."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return
    for text in lines:
        try:
            yield json.loads(text)
        except ValueError:
            return
