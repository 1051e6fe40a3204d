"""The figures against what they are to reach. Every verdict says what was compared and, where nothing is judged, why."""

import floor
from figures import Figures

OVER_FLOOR = 1.5
TOGETHER = 1.5
COLD_SECONDS = 20.0
ACTIVATIONS_GIB = 7.0
BATCH = 8
USERS = 8
# The floor is of this generation of cards.
HOPPER = ("H100", "H200", "GH200")

PASSED, MISSED, NOT_JUDGED, NOT_MEASURED = "passed", "missed", "not judged", "not measured"


def verdicts(report):
    """All of them, in the order of the report."""
    ours = Figures.of(report)
    checks = [
        over_floor(ours, "training step of 8 rows", "train"),
        over_floor(ours, "8 pictures at once", "picture"),
        beside_pytorch(ours, "training step of 8 rows, one user", "train"),
        beside_pytorch(ours, "8 pictures at once, one user", "picture"),
        together(ours),
        cold(report),
        activations(ours),
    ]
    return [judged(check, report, ours) for check in checks]


def judged(check, report, ours):
    """Gives a check its verdict. `at_most` says on which side of the limit the value is to be."""
    needs_hopper = check.pop("needs_hopper", False)
    value, limit = check["value"], check["limit"]
    if value is None:
        return {**check, "verdict": NOT_MEASURED}
    if report["dry"]:
        return {**check, "verdict": NOT_JUDGED, "why": "the dry form judges no speed"}
    if needs_hopper and not any(name in ours.device_name for name in HOPPER):
        return {**check, "verdict": NOT_JUDGED, "why": f"the floor is counted for an {floor.CARD}"}
    reached = value <= limit if check["at_most"] else value >= limit
    return {**check, "verdict": PASSED if reached else MISSED}


def check(name, value, limit, unit, at_most=True, **more):
    return {"name": name, "value": value, "limit": limit, "unit": unit, "at_most": at_most, **more}


def over_floor(ours, name, what):
    row, under = ours.row(what, BATCH), ours.floor(what, BATCH)
    value = row["median_ms"] / under["unfused"] if row and under else None
    return check(name, value, OVER_FLOOR, "x the unfused floor", needs_hopper=True)


def beside_pytorch(ours, name, what):
    """Throughput over PyTorch's, in its fastest way."""
    row, theirs = ours.row(what, BATCH), ours.fastest(what, BATCH)
    value = theirs["median_ms"] / row["median_ms"] if row and theirs else None
    return check(name, value, 1.0, "x PyTorch's throughput", at_most=False)


def together(ours):
    """Eight users with a row each in one pass, over eight one after another in PyTorch."""
    row, theirs = ours.row("users_batched", USERS), ours.fastest("users_one_by_one", USERS)
    value = theirs["median_ms"] / row["median_ms"] if row and theirs else None
    return check("8 users of a row each, together", value, TOGETHER, "x 8 one after another in PyTorch", at_most=False)


def cold(report):
    """From the start of the process to the end of the first training step, with the kernels of an earlier run."""
    found = report["parts"].get("cold", {}).get("found", {}).get("with_kernels", {})
    row = next((row for row in found.get("rows", []) if row["what"] == "cold_train" and row["median_ms"]), None)
    return check("start to first training step", row and row["median_ms"] / 1e3, COLD_SECONDS, "s with kept kernels")


def activations(ours):
    """What a training step of eight rows takes beyond the weights."""
    peak, weights = ours.peak("train", BATCH), ours.weights_bytes()
    value = (peak - weights) / floor.GIB if peak and weights else None
    return check("activations of a training step of 8 rows", value, ACTIVATIONS_GIB, "GiB")
