"""What a model's scores come to at every threshold, in few points: data for pages."""

import numpy as np
import numpy.typing as npt

POINTS = 51


def threshold_table(probabilities: npt.ArrayLike, y: npt.ArrayLike, points: int = POINTS) -> list[dict[str, float]]:
    """Share flagged, recall, precision and false positive rate when rows from ``threshold`` on are flagged.

    ``probabilities`` float64[n] in 0..1, ``y`` bool[n]. At most ``points`` thresholds, evenly spread over the ranked
    rows, so that ROC and precision-recall curves can be drawn from them. Empty without both outcomes.

    >>> threshold_table([0.2, 0.4, 0.9], [False, True, True], points=2)[0]
    {'threshold': 0.9, 'flagged': 0.3333333333333333, 'recall': 0.5, 'precision': 1.0, 'false_positive_rate': 0.0}
    """
    p, positive = np.asarray(probabilities, dtype=np.float64), np.asarray(y, dtype=bool)
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return []
    order = np.argsort(-p, kind="stable")
    ranked, hits = p[order], np.cumsum(positive[order])
    # Rows of one probability are flagged together: a threshold ends where the probability does.
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    chosen = ends[np.unique(np.linspace(0, len(ends) - 1, points).round().astype(np.int64))]
    return [
        {
            "threshold": float(ranked[end]),
            "flagged": (end + 1) / len(p),
            "recall": float(hits[end] / positives),
            "precision": float(hits[end] / (end + 1)),
            "false_positive_rate": float((end + 1 - hits[end]) / negatives),
        }
        for end in chosen.tolist()
    ]


def calibration_table(probabilities: npt.ArrayLike, y: npt.ArrayLike, bins: int = 10) -> list[dict[str, float]]:
    """Mean probability beside the share of positives in ``bins`` equally full groups of rows, in order of probability.

    ``probabilities`` float64[n] in 0..1, ``y`` bool[n].

    >>> calibration_table([0.1, 0.3, 0.6, 0.8], [False, False, True, True], bins=2)[0]
    {'rows': 2, 'mean_probability': 0.2, 'positive_share': 0.0}
    """
    p, positive = np.asarray(probabilities, dtype=np.float64), np.asarray(y, dtype=bool)
    order = np.argsort(p, kind="stable")
    return [
        {
            "rows": len(group),
            "mean_probability": float(p[group].mean()),
            "positive_share": float(positive[group].mean()),
        }
        for group in np.array_split(order, bins)
        if len(group)
    ]
