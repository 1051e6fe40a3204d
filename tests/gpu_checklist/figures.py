"""Rows of figures of a report, ours and PyTorch's, by what they are of."""

import floor

BYTES = {"bf16": 2, "f32": 4}


class Figures:
    """The main model's figures."""

    @classmethod
    def of(cls, report):
        parts = report["parts"]
        return cls(parts.get("speed", {}).get("found", {}), parts.get("pytorch", {}).get("found", {}))

    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        self.device_name = str(ours.get("device", {}).get("name", ""))

    def kinds(self):
        """Every (what, batch) that one of the two has: kinds in the order of measuring, each from its smallest batch on."""
        rows = [*self.ours.get("rows", []), *self.theirs.get("rows", [])]
        order = list(dict.fromkeys(row["what"] for row in rows))
        return sorted({(row["what"], row["batch"]) for row in rows}, key=lambda kind: (order.index(kind[0]), kind[1]))

    def row(self, what, batch):
        """Ours, where it was measured."""
        return next((row for row in self.all_ours(what, batch) if row.get("median_ms")), None)

    def all_ours(self, what, batch):
        return [row for row in self.ours.get("rows", []) if (row["what"], row["batch"]) == (what, batch)]

    def all_theirs(self, what, batch):
        """One row a way of running PyTorch."""
        return [row for row in self.theirs.get("rows", []) if (row["what"], row["batch"]) == (what, batch)]

    def fastest(self, what, batch):
        """PyTorch's, in its fastest way; None where none was measured."""
        measured = [row for row in self.all_theirs(what, batch) if row.get("median_ms")]
        return min(measured, key=lambda row: row["median_ms"], default=None)

    def floor(self, what, batch):
        """The floor, where one is counted for this model, type and size."""
        if (self.ours.get("model"), self.ours.get("dtype"), self.ours.get("size")) != (floor.MODEL, "bf16", floor.SIZE):
            return None
        return floor.of(what, batch, rows_each=batch // floor.USERS)

    def peak(self, what, batch):
        row = self.row(what, batch)
        return row and row.get("peak_bytes")

    def weights_bytes(self):
        """Of all parts of the model, by their numbers of parameters."""
        parameters, bytes_each = self.ours.get("parameters"), BYTES.get(self.ours.get("dtype"))
        return sum(parameters.values()) * bytes_each if parameters and bytes_each else None

    def training_peaks(self):
        """Bytes by batch."""
        rows = [row for row in self.ours.get("rows", []) if row["what"] == "train" and row.get("peak_bytes")]
        return {row["batch"]: row["peak_bytes"] for row in rows}

    def their_training_peaks(self):
        """PyTorch's in its plain way."""
        rows = [row for row in self.theirs.get("rows", []) if row["what"] == "train" and row.get("peak_bytes")]
        return {row["batch"]: row["peak_bytes"] for row in rows if row["variant"] == "eager"}
