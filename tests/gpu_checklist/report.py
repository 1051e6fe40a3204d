"""The report: one JSON with everything, and tables in Markdown for docs/benchmarks.md."""

import json
import os

import cards
import floor
import judge
import kernels
from figures import Figures
from part import FAILED, INTERRUPTED, TIMED_OUT

SCHEMA = 1
BAD = (FAILED, TIMED_OUT, INTERRUPTED)
NAMES = {
    "train": "training step",
    "users_batched": "8 users' training steps, together",
    "users_one_by_one": "8 users' training steps, one after another",
    "sample": "guided sampler step",
    "text": "text encoder, forward",
    "encode": "VAE encode",
    "decode": "VAE decode",
    "picture": "whole pictures",
}


class Unlike(Exception):
    """Why reports cannot be put together."""


def complete(report):
    """Adds what follows from the parts: verdicts, cards, kernels and whether all is well."""
    ours = Figures.of(report)
    report["verdicts"] = judge.verdicts(report)
    report["cards"] = {"likeness": cards.table(ours.training_peaks()), "pytorch": cards.table(ours.their_training_peaks())}
    report["kernels"] = kernels.distances(ours.ours.get("profile"))
    report["differences"] = differences(ours)
    report["ok"] = is_ok(report)
    return report


def is_ok(report):
    """No part failed, no limit is missed, and both sides ran the same model."""
    parts = any(part["status"] in BAD for part in report["parts"].values())
    missed = any(verdict["verdict"] == judge.MISSED for verdict in report["verdicts"])
    return not (parts or missed or report["differences"])


def differences(ours):
    """What makes the two sides different work."""
    parameters = ours.ours.get("parameters")
    theirs = next((models["parameters"] for models in ours.theirs.get("models", [])), None)
    if parameters and theirs and parameters != theirs:
        return [f"likeness runs {parameters} parameters and PyTorch {theirs}"]
    return []


def merged(reports):
    """One report of several that were made on the same card: of each part the last one that was made."""
    names = {(report["facts"].get("card") or {}).get("name") for report in reports}
    if len(names) > 1 or len({report["dry"] for report in reports}) > 1:
        raise Unlike(f"these reports are of different cards: {', '.join(sorted(map(str, names)))}")
    whole = dict(reports[-1])
    whole["parts"] = {name: part for report in reports for name, part in report["parts"].items()}
    whole["command_lines"] = [line for report in reports for line in report["command_lines"]]
    return complete(whole)


def write(report, folder):
    """report.json and report.md, each whole or not at all."""
    complete(report)
    for name, text in (("report.json", json.dumps(report, indent=1)), ("report.md", markdown(report))):
        unfinished = folder / f".{name}.unfinished"
        unfinished.write_text(text + "\n")
        os.replace(unfinished, folder / name)


def markdown(report):
    sections = [heading(report), parts(report), verdicts(report), speeds(report), other_model(report), cold(report), room(report)]
    sections += [by_kernel(report), parity(report)]
    return "\n\n".join(section for section in sections if section)


def heading(report):
    facts, found = report["facts"], report["parts"].get("pytorch", {}).get("found", {})
    card = facts.get("card") or {}
    versions = ", ".join(f"{name} {version}" for name, version in found.get("versions", {}).items() if name != "card")
    what = f"{card.get('name', 'no card')}, driver {card.get('driver', 'none')}"
    lines = [f"## Full size on a card{' (dry form, on the CPU: no figure says anything of a card)' if report['dry'] else ''}"]
    lines.append(f"{report['started'][:10]}, {what}; {facts.get('likeness')}; {versions or 'without PyTorch'}.")
    ceilings = next(iter(found.get("card", [])), None)
    if ceilings:
        lines.append(
            f"The card's own ceilings in this run: {ceilings['tflops']:.0f} TFLOP/s in bf16 (the floor is counted with {floor.TFLOPS:.0f}), "
            f"{ceilings['terabytes_per_second']:.2f} TB/s (with {floor.TERABYTES_PER_SECOND:.1f})."
        )
    return "\n".join(lines + [f"**{difference}: the two sides are not the same work.**" for difference in report["differences"]])


def parts(report):
    rows = [(name, part["status"], f"{part['seconds']:.0f} s", part["reason"] or "") for name, part in report["parts"].items()]
    return table(("part", "", "took", "why"), rows)


def verdicts(report):
    rows = []
    for verdict in report["verdicts"]:
        sign = "<=" if verdict["at_most"] else ">="
        why = f": {verdict['why']}" if verdict.get("why") else ""
        rows.append((verdict["name"], number(verdict["value"]), f"{sign} {verdict['limit']:g} {verdict['unit']}", verdict["verdict"] + why))
    return table(("to reach", "measured", "limit", ""), rows)


def speeds(report):
    """Ours beside PyTorch's and the floor. Memory is that of the whole pass, weights included."""
    ours, rows = Figures.of(report), []
    for what, batch in ours.kinds():
        if what not in NAMES:
            continue
        row, theirs, under = ours.row(what, batch), ours.fastest(what, batch), ours.floor(what, batch)
        mine = row and row["median_ms"]
        rows.append(
            (
                NAMES[what],
                batch,
                number(mine) if row else error(ours.all_ours(what, batch)),
                f"{number(theirs['median_ms'])} ({theirs['variant']})" if theirs else error(ours.all_theirs(what, batch)),
                number(mine / theirs["median_ms"]) if row and theirs else "",
                f"{'' if under['counted'] else '~'}{number(under['roofline'])} / {number(under['unfused'])}" if under else "",
                number(mine / under["unfused"]) if row and under else "",
                gib(row and row.get("peak_bytes")),
                gib(floor.least_bytes(batch, ours.weights_bytes())) if under and what == "train" else "",
                gib(theirs and theirs.get("peak_bytes")),
            )
        )
    return table(
        ("milliseconds", "batch", "ours", "PyTorch", "ratio", "floor: roofline / unfused", "over unfused", "peak GiB", "least GiB", "PyTorch's peak"),
        rows,
    )


def other_model(report):
    found = report["parts"].get("sd15", {}).get("found", {})
    rows = [
        (NAMES.get(row["what"], row["what"]), row["batch"], number(row.get("median_ms")) or row.get("error"), gib(row.get("peak_bytes")))
        for row in found.get("rows", [])
    ]
    return table((f"{found.get('model')}, milliseconds", "batch", "ours", "peak GiB"), rows)


def cold(report):
    found, rows = report["parts"].get("cold", {}).get("found", {}), []
    for name, said in (("without_kernels", "nothing compiled before"), ("with_kernels", "kernels of a run before")):
        times = {row["what"]: row.get("median_ms") for row in found.get(name, {}).get("rows", [])}
        seconds = [number(times.get(what) and times[what] / 1e3) for what in ("cold_train", "second_train", "cold_sample", "second_sample")]
        if times:
            rows.append((said, *seconds, number(found[name]["process_seconds"])))
    headings = ("seconds from the start of the process", "first training step", "second one alone", "first sampler step", "second one alone", "process")
    return table(headings, rows, f"Weights: {found.get('weights')}. Kept kernels: {found.get('kernel_bytes', 0) / 1e6:.1f} MB.")


def room(report):
    """The largest training batch of each card."""
    names = [("likeness", "ours"), ("pytorch", "PyTorch")]
    tables = [(said, report["cards"][name]) for name, said in names if report["cards"][name]]
    rows = [
        (f"{gib_of_card} GiB", *(fitted["cards"][place]["batch"] or "none" for _, fitted in tables)) for place, gib_of_card in enumerate(cards.CARDS)
    ]
    lines = [
        f"{said}: {fitted['line']['base_bytes'] / cards.GIB:.2f} GiB and {fitted['line']['per_row_bytes'] / cards.GIB:.3f} GiB a row" for said, fitted in tables
    ]
    note = f"From the measured peaks ({'; '.join(lines)}), a tenth of the card kept free."
    return table(("card", *(f"largest training batch, {said}" for said, _ in tables)), rows, note) if tables else ""


def by_kernel(report):
    rows = []
    for step in report["kernels"]:
        for kind in step["kinds"]:
            over = kind["milliseconds"] / kind["floor"] if kind["floor"] else None
            rows.append((NAMES.get(step["what"]), step["batch"], kind["kind"], kind["launches"], number(kind["milliseconds"]), number(kind["floor"]), number(over)))
    note = "The floor of a kind: arithmetic at the peak rate; of other kernels, their bytes. That the backward is 1.08 of the forward in each kind is assumed."
    return table(("step", "batch", "kernels", "launches", "ms", "floor ms", "over floor"), rows, note)


def parity(report):
    rows = []
    for folder in report["parts"].get("parity", {}).get("found", {}).get("folders", []):
        for group in folder["groups"]:
            worst = group["worst"] or {"compared": "", "error": None, "limit": None}
            limit = "exact" if worst["limit"] == 0 else number(worst["limit"])
            arithmetic = folder.get("arithmetic") or folder["dtype"]
            rows.append(
                (folder["folder"], arithmetic, group["group"], group["compared"], worst["compared"], number(worst["error"]), limit, "ok" if group["ok"] else "FAILS")
            )
    return table(("folder", "arithmetic", "group", "compared", "nearest to its limit", "error", "limit", ""), rows)


def table(headings, rows, note=""):
    """A table in Markdown with a note under it; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [headings, ["---"] * len(headings), *rows]
    text = "\n".join("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)
    return f"{text}\n\n{note}" if note else text


def number(value):
    """Three digits, or as many as stand before the point."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.1e}"


def gib(bytes_):
    return f"{bytes_ / floor.GIB:.2f}" if bytes_ else ""


def error(rows):
    return next((row["error"] for row in rows if row.get("error")), "")
