"""Figures of checks: how well vectors tell people apart, how near points are."""

import numpy as np


def auc(same: np.ndarray, different: np.ndarray) -> float:
    """Share of (same, different) pairs that are in the right order."""
    ordered = np.sort(different)
    below = np.searchsorted(ordered, same, "left") + np.searchsorted(ordered, same, "right")
    return float(below.mean() / 2 / len(ordered))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def pairs(vectors: np.ndarray, who: np.ndarray, others: np.ndarray | None = None, whose: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of pairs of the same and of different people, within one set or between two."""
    within = others is None
    cosine = unit(vectors) @ unit(vectors if within else others).T
    equal = who[:, None] == (who if within else whose)[None]
    counted = np.triu(np.ones_like(equal), 1) if within else np.ones_like(equal)
    return cosine[equal & counted], cosine[~equal & counted]


def told_apart(same: np.ndarray, different: np.ndarray) -> dict[str, float]:
    """AUC, means and deviations, the equal-error point, and what share of the same passes where 1 in 1000 others does."""
    if not len(same) or not len(different):
        return {"pairs": 0}
    ours, theirs = np.sort(same), np.sort(different)
    at = np.linspace(ours[0], theirs[-1], 2000)
    missed, let_in = np.searchsorted(ours, at) / len(ours), 1 - np.searchsorted(theirs, at) / len(theirs)
    equal = int(np.abs(missed - let_in).argmin())
    strict = theirs[int(len(theirs) * .999)]
    return {"auc": auc(same, different), "same": same.mean(), "same_deviation": same.std(), "same_5_percent": np.quantile(same, .05),
            "different": different.mean(), "different_deviation": different.std(), "different_999": strict,
            "equal_error": (missed[equal] + let_in[equal]) / 2, "equal_error_at": at[equal],
            "passes_at_1_in_1000": (same >= strict).mean(), "pairs": len(same)}


def agreement(ours: np.ndarray, theirs: np.ndarray, who: np.ndarray) -> dict[str, float]:
    """Whether two networks err alike on the same faces: correlations of their cosines over pairs of the same and of different
    people, and of the pairs of different people that each lets in most readily (1 in 1000), the share let in by both.
    """
    (same, different), (same_too, different_too) = pairs(ours, who), pairs(theirs, who)
    first, second = (cosine >= np.quantile(cosine, .999) for cosine in (different, different_too))
    return {"correlation, same": np.corrcoef(same, same_too)[0, 1], "correlation, different": np.corrcoef(different, different_too)[0, 1],
            "let in by both": (first & second).sum() / max(1, first.sum())}


def rounded(value):
    """Figures with four decimals, for reading."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return round(float(value), 4) if isinstance(value, (float, np.floating)) else int(value) if isinstance(value, np.integer) else value
