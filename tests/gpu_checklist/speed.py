"""Part (b): how fast the program is and how much memory it takes: `likeness bench`."""

import json


def work(part):
    """The main model. Several runs, so that one that hangs costs its own figures alone; training first, which matters most."""
    settings = part.settings
    some, few = settings.training_batches, settings.drawing_batches
    bench(part, "train", settings.model, ["load", "train"], some, share=0.35)
    bench(part, "users", settings.model, ["users"], some[:1], share=0.3, rows_each=settings.rows_each)
    bench(part, "sample", settings.model, ["text", "sample"], some, share=0.4)
    bench(part, "draw", settings.model, ["encode", "decode", "picture"], few, share=0.7)
    if not settings.dry:
        profile(part)


def other_model(part):
    """The other model, shortly."""
    settings = part.settings
    bench(part, "sd15", settings.other_model, ["train", "sample"], settings.drawing_batches[:2], share=0.9)


def bench(part, name, model, only, batches, share, rows_each=()):
    """One run of `likeness bench`; its rows join those that the part has. What it wrote before its end counts too."""
    settings, path = part.settings, part.folder / f"bench-{name}.json"
    line = command_line(part, model, only, batches) + ["--json", path]
    line += ["--steps", settings.steps] if "picture" in only else []
    line += ["--rows-each", ",".join(map(str, rows_each))] if rows_each else []
    ended = part.run(line, share=share)
    report = read(path)
    if report is None:
        if ended.code == 0:
            part.fail(f"{path.name} was not written")
        return
    part.found.setdefault("rows", []).extend(report.pop("rows", []))
    part.found.update(report)


def command_line(part, model, only, batches):
    settings = part.settings
    line = [part.program, "bench", "--model", model, "--device", settings.device, "--dtype", settings.dtype]
    return [*line, "--only", ",".join(only), "--batches", ",".join(map(str, batches)), "--repeats", settings.repeats]


def profile(part):
    """Launches and times of kernels at the judged batch. A program that cannot tell them fails nothing."""
    path = part.folder / "kernels.json"
    failures, late = len(part.failures), part.late
    part.run([*command_line(part, part.settings.model, ["load"], [8]), "--profile", path], share=0.9)
    part.found["profile"] = read(path)
    if part.found["profile"] is None:
        part.found["profile_missing"] = "; ".join(part.failures[failures:]) or f"{path.name} was not written"
        del part.failures[failures:]
        part.late = late


def read(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
