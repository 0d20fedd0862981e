"""The Kolmogorov-Smirnov test alone, exact, of 20 columns against 7,043 reference values each, which are sorted once
beforehand; CPU in one process, on arrays in memory.

Sorting the columns is what any exact test has to do. All three in one process, with the variables that the template
sets (docs/decisions/0016).
"""

import sys
from statistics import median

from benchmarks.speed.measure import Row, compare, environment, run
from benchmarks.speed.packages import CONTESTANTS, built, vendored
from benchmarks.speed.report import Table, publish, quick
from benchmarks.speed.rivals import TUTORIAL
from benchmarks.speed.world import constants

COLUMNS = 20


def measure(rows: int | None = None, repeats: int | None = None) -> tuple[Table, list[Row]]:
    size, turns = rows or 1_000_000, repeats or (3 if quick() else 7)
    script = [sys.executable, "-I", "-S", "-B", str(CONTESTANTS / "columns.py")]
    said = run(
        [
            *script,
            str(size),
            str(COLUMNS),
            str(turns),
            *built("monitor"),
            str(vendored("tutorial", TUTORIAL, compiled=True)),
        ],
        environment(**constants()),
    ).said
    took, what = said["found"], f"KS of {size:,} x {COLUMNS}, CPU"
    apart = said["difference"] / 1e-12
    compared = [
        compare(f"{what}: scipy.stats.ks_2samp / this project", took["scipy"], took["project"], ">= 8"),
        compare(f"{what}: this project / np.sort", took["project"], took["sort"], "<= 1.1"),
        Row("KS, greatest difference of D or p from scipy's / 1e-12", apart, apart, apart, "<= 1"),
    ]
    shown = {"this project": "project", "np.sort": "sort", "scipy.stats.ks_2samp": "scipy"}
    lines = tuple((name, f"{median(took[key]):.3g}", str(turns)) for name, key in shown.items())
    figures = {name: median(took[key]) for name, key in shown.items()}
    text = " ".join((__doc__ or "").split())
    return Table("Kolmogorov-Smirnov", text, ("contestant", "CPU, s", "turns"), lines, figures), compared


if __name__ == "__main__":
    publish("ks", *measure())
