"""Kolmogorov-Smirnov alone: ``columns.py ROWS COLUMNS REPEATS PATH...``; CPU seconds a turn of sorting, of this
project, of scipy.
"""

import json
import sys
import time

sys.path[:0] = sys.argv[4:]
import numpy as np  # noqa: E402  # from the package
from scipy.stats import ks_2samp  # noqa: E402
from stillgood.domain.drift.histograms import Histogram  # noqa: E402
from stillgood.domain.drift.reference import Distribution  # noqa: E402
from stillgood.domain.drift.two_sample import kolmogorov_smirnov  # noqa: E402

rows, width, repeats = map(int, sys.argv[1:4])
chance = np.random.default_rng(0)
trained = chance.normal(size=(width, 7043))
data = chance.normal(0.01, 1.0, size=(width, rows))
references = [Distribution.of(column) for column in trained]


def project():
    return [
        kolmogorov_smirnov(reference, Histogram.of(reference, column))
        for reference, column in zip(references, data, strict=True)
    ]


def scipy():
    return [ks_2samp(reference, column, method="asymp") for reference, column in zip(trained, data, strict=True)]


def sort():
    for column in data:
        np.sort(column)


contestants = {"sort": sort, "project": project, "scipy": scipy}
seconds = {name: [] for name in contestants}
for turn in range(repeats + 1):
    for name, once in contestants.items():
        if name == "scipy" and turn == 0:
            continue
        start = time.process_time()
        answer = once()
        if turn:
            seconds[name].append(time.process_time() - start)
        if name == "scipy":
            other = answer
        elif name == "project":
            mine = answer
differences = [
    abs(a - b)
    for ours, theirs in zip(mine, other, strict=True)
    for a, b in ((ours.value, theirs.statistic), (ours.p, theirs.pvalue))
]
print(json.dumps({"found": seconds, "difference": float(max(differences))}))
