"""Which card has room for which training batch, from the measured peaks."""

GIB = 2.0**30
CARDS = (8, 12, 16, 24, 40, 80)
RESERVE = 0.10


def fit(peaks):
    """`base` and `per_row` in bytes of the line nearest to the peaks (batch to bytes), by least squares; None for fewer than two
    batches, or where more rows took no more memory."""
    if len(peaks) < 2:
        return None
    count = len(peaks)
    middle = sum(peaks) / count
    height = sum(peaks.values()) / count
    spread = sum((batch - middle) ** 2 for batch in peaks)
    per_row = sum((batch - middle) * (bytes_ - height) for batch, bytes_ in peaks.items()) / spread
    if per_row <= 0:
        return None
    base = height - per_row * middle
    # A line cannot be further off than its worst point; what it misses there is kept free everywhere.
    miss = max(bytes_ - (base + per_row * batch) for batch, bytes_ in peaks.items())
    return {"base_bytes": base, "per_row_bytes": per_row, "largest_miss_bytes": max(miss, 0.0)}


def largest_batch(line, gib):
    """The largest training batch on a card of so many GiB with a tenth kept free; 0 where not one row fits."""
    room = gib * GIB * (1 - RESERVE) - line["base_bytes"] - line["largest_miss_bytes"]
    return max(0, int(room // line["per_row_bytes"]))


def table(peaks):
    """The line and the largest batch of each card; None where there is no line."""
    line = fit(peaks)
    return line and {"line": line, "cards": [{"gib": gib, "batch": largest_batch(line, gib)} for gib in CARDS]}
