"""A warm predict: one row, checked, scored and explained, request after request in one process.

The hello world fetches from S3 and captures, too (contestants/hello_s3.py), by the same client as this project.
"Without the PUT" builds and encodes the capture's record and stops before S3 is asked to take it; other rivals capture
nothing.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.speed import rivals
from benchmarks.speed.cold import EVENT
from benchmarks.speed.measure import Row, Usage, compare, in_turns, run
from benchmarks.speed.packages import CONTESTANTS, built
from benchmarks.speed.report import Table, publish, quick
from benchmarks.speed.world import bucket

MANY = CONTESTANTS / "many.py"
OURS, PUT = "this project, without the PUT", "this project, with the PUT"
HELLO, HELLO_PUT = "hello world, without the PUT", "hello world, with the PUT"


def measure() -> tuple[Table, list[Row]]:
    with bucket() as place, tempfile.TemporaryDirectory() as folder:
        place.put("tutorial/model.joblib", rivals.pickled())
        environment = place.environment | {
            "MODEL_FILE": str(Path(folder) / "model.joblib"),
            "MODEL_FOLDER": str(rivals.model_folder(Path(folder) / "model")),
            "HOME": folder,
        }
        app = rivals.Rival("app", built("predict"))
        light = {"CLIENT": "obstore"}
        fast, slow = (1000, 100) if quick() else (5000, 400)
        turns = in_turns(
            {
                OURS: serve(app, environment, fast, "no"),
                HELLO: serve(rivals.hello(), environment | light, fast, "no"),
                PUT: serve(app, environment, fast),
                HELLO_PUT: serve(rivals.hello(), environment | light, fast),
                "tutorial": serve(rivals.tutorial(compiled=True), environment, slow),
                "pyfunc": serve(rivals.pyfunc(compiled=True), environment, slow),
            },
            2 if quick() else 7,
        )
    said = {
        name: {key: [usage.said[key] for usage in usages] for key in usages[0].said} for name, usages in turns.items()
    }
    rows = []
    for share in ("p50", "p99"):
        ours, name = said[OURS][share], f"predict warm, {share}"
        rows.append(against_hello(share, turns))
        rows += [compare(f"{name}: {way} / {OURS}", said[way][share], ours, ">= 40") for way in ("tutorial", "pyfunc")]
        rows.append(compare(f"{name}: {PUT} / {HELLO_PUT}", said[PUT][share], said[HELLO_PUT][share], "<= 1.7"))
    figures = {name: {key: median(values) for key, values in series.items()} for name, series in said.items()}
    lines = tuple((name, *(f"{figures[name][key] * 1e6:.0f}" for key in ("p50", "p99", "cpu"))) for name in figures)
    header = ("contestant", "p50, us", "p99, us", "CPU a request, us")
    return Table("Warm predict", " ".join((__doc__ or "").split()), header, lines, figures), rows


def serve(
    contestant: rivals.Rival, environment: Mapping[str, str], requests: int, put: str = "yes"
) -> Callable[[], Usage]:
    """A new process in which ``contestant`` answers the event so often; it says the latencies."""
    command = [sys.executable, "-I", "-S", "-B", str(MANY), contestant.module, str(EVENT), str(requests), put]
    return lambda: run([*command, *contestant.path], environment)


def against_hello(share: str, usages: Mapping[str, Sequence[Usage]]) -> Row:
    """``share``: "p50" or "p99"."""
    ours, hello = ([usage.said[share] for usage in usages[name]] for name in (OURS, HELLO))
    return compare(f"predict warm, {share}: {OURS} / {HELLO}", ours, hello, "<= 1.7")


if __name__ == "__main__":
    publish("warm", *measure())
