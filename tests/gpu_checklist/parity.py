"""Part (a): the model beside the reference's values, in f32 and bf16: `likeness parity`."""

import json

from settings import FIXTURES


def work(part):
    part.found["folders"] = []
    for folder, dtype, groups in part.settings.parity:
        line = [part.program, "-o", "json", "parity", FIXTURES / folder, "--device", part.settings.device, "--dtype", dtype]
        line += ["--only", ",".join(groups)] if groups else []
        ended = part.run(line)
        part.found["folders"].append({"folder": folder, "dtype": dtype, **summary(ended.stdout)})


def summary(text):
    """The worst of each group, and every row that falls short, of what `likeness parity -o json` printed."""
    try:
        report = json.loads(text)
    except ValueError:
        return {"ok": False, "groups": [], "short": []}
    groups = {}
    for row in report["rows"]:
        group = groups.setdefault(row["group"], {"group": row["group"], "compared": 0, "ok": True, "worst": None})
        group["ok"] &= row["ok"]
        if row.get("error") is None or row.get("limit") is None:
            continue
        group["compared"] += 1
        if group["worst"] is None or of_limit(row) > of_limit(group["worst"]):
            group["worst"] = {key: row[key] for key in ("compared", "error", "limit")}
    return {
        "ok": report["ok"],
        "arithmetic": report.get("arithmetic"),
        "groups": list(groups.values()),
        "short": [row for row in report["rows"] if not row["ok"]],
    }


def of_limit(row):
    """How much of its limit an error takes up. An exact row takes up nothing or everything."""
    if row["limit"] == 0:
        return float("inf") if row["error"] else 0.0
    return row["error"] / row["limit"]
