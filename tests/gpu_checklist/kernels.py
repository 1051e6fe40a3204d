"""A profile of kernels beside the floor, by kind of kernel."""

import floor

# Kinds of a profile to kinds of the floor; what is not named here only moves memory.
KINDS = {"convolution": "convolution", "matmul": "matmul", "attention": "attention"}


def distances(profile):
    """For each profiled step: launches, milliseconds and the floor of each kind. `profile` is what `bench --profile` wrote."""
    steps = []
    for step in (profile or {}).get("steps", []):
        floors = floor.by_class(step["what"], step["batch"])
        measured = {}
        for share in step.get("classes", []):
            kind = KINDS.get(share.get("class"), "other")
            launches, milliseconds = measured.get(kind, (0, 0.0))
            measured[kind] = (launches + share["launches"], milliseconds + share["milliseconds"])
        rows = [
            {
                "kind": kind,
                "launches": measured.get(kind, (0, 0.0))[0],
                "milliseconds": measured.get(kind, (0, 0.0))[1],
                "floor": floors.get(kind),
            }
            for kind in ("convolution", "matmul", "attention", "other")
        ]
        steps.append({"what": step["what"], "batch": step["batch"], "launches": step.get("launches"), "kinds": rows})
    return steps
