"""Cold start of predict: a new process answers its first API Gateway event; pointer, model and capture over HTTP to a
local S3.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.speed import rivals
from benchmarks.speed.measure import Row, Usage, column, compare, in_turns, run
from benchmarks.speed.packages import CONTESTANTS, ROOT, built
from benchmarks.speed.report import Table, publish, quick, table
from benchmarks.speed.world import bucket

EVENT = ROOT / "events" / "predict.json"
FIRST = CONTESTANTS / "first.py"
HELLO = "FastAPI + Mangum hello world with S3 fetch and capture"
HELLO_OBSTORE = f"{HELLO}, by obstore"


def measure() -> tuple[Table, list[Row]]:
    with bucket() as place, tempfile.TemporaryDirectory() as folder:
        place.put("tutorial/model.joblib", rivals.pickled())
        environment = place.environment | {
            "MODEL_FILE": str(Path(folder) / "model.joblib"),
            "MODEL_FOLDER": str(rivals.model_folder(Path(folder) / "model")),
            "HOME": folder,
        }

        def rival(contestant: rivals.Rival) -> Callable[[], Usage]:
            return first(contestant, EVENT, environment)

        app = rivals.Rival("app", built("predict"))
        light = environment | {"CLIENT": "obstore"}
        often = in_turns(
            {
                "this project": rival(app),
                HELLO: rival(rivals.hello()),
                HELLO_OBSTORE: first(rivals.hello(), EVENT, light),
            },
            5 if quick() else 21,
        )
        seldom = in_turns(
            {
                "this project": rival(app),
                "tutorial, with .pyc": rival(rivals.tutorial(compiled=True)),
                "pyfunc, with .pyc": rival(rivals.pyfunc(compiled=True)),
                "tutorial, without .pyc": rival(rivals.tutorial(compiled=False)),
                "pyfunc, without .pyc": rival(rivals.pyfunc(compiled=False)),
            },
            2 if quick() else 5,
        )
    rows = [_row("this project", HELLO, often, "<= 1.0"), _row("this project", HELLO_OBSTORE, often, "<= 1.0")]
    for name, target in (("with .pyc", ">= 5"), ("without .pyc", ">= 15")):
        rows += [_row(f"{way}, {name}", "this project", seldom, target) for way in ("tutorial", "pyfunc")]
    return table(
        "Cold start of predict", __doc__, often | {k: v for k, v in seldom.items() if k != "this project"}
    ), rows


def first(contestant: rivals.Rival, event: Path, environment: Mapping[str, str]) -> Callable[[], Usage]:
    """A new process that has ``contestant`` answer its first event."""
    # -I -S: the package is all there is. -B: /var/task cannot be written to, so no byte code is kept.
    command = [sys.executable, "-I", "-S", "-B", str(FIRST), contestant.module, str(event), *contestant.path]
    return lambda: run(command, environment)


def _row(above: str, below: str, usages: dict[str, list[Usage]], target: str | None) -> Row:
    name = f"predict cold start, CPU: {above} / {below}"
    return compare(name, column(usages[above], "cpu"), column(usages[below], "cpu"), target)


if __name__ == "__main__":
    publish("cold", *measure())
