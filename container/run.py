"""Runs a step outside Lambda, as the container image does: ``run.py train|batch [EVENT]``, the event as JSON, a file,
or on standard input.

The very handlers that Lambda calls. Prints the result as one JSON line, after the log lines; exit status 1 says that
the step raised, 2 that it was called wrongly.
"""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

type Handler = Callable[[Any, Any], Any]
FUNCTIONS = Path(__file__).resolve().parent.parent / "functions"
STEPS = ("train", "batch")


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2 or arguments[0] not in STEPS:
        print(
            f"usage: run.py {'|'.join(STEPS)} [EVENT], with EVENT as JSON, the name of a file, or on standard input",
            file=sys.stderr,
        )
        return 2
    try:
        event = read(arguments[1] if len(arguments) == 2 else "-")
    except (OSError, ValueError) as error:
        print(f"the event cannot be read: {error}", file=sys.stderr)
        return 2
    try:
        print(json.dumps(load_handler(arguments[0])(event, None)))
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def read(argument: str) -> Any:
    """JSON from standard input (``-``), from the argument itself, or from the file it names."""
    if argument == "-":
        return json.load(sys.stdin)
    return json.loads(
        argument if argument.lstrip().startswith(("{", "[")) else Path(argument).read_text(encoding="utf-8")
    )


def load_handler(step: str) -> Handler:
    """The handler of functions/<step>/app.py, which is a folder of its own, as its package is."""
    sys.path.insert(0, str(FUNCTIONS / step))
    handler: Handler = importlib.import_module("app").handler
    return handler


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
