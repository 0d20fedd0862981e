"""python -m benchmarks.strangers files [--count N] [--kind csv ...] | worlds | labels | senders [--seeds N] | day
[--count N] | logs | capture: writes benchmarks/results/strangers.json. MINUTES=90 begins no world after so long; what
was played is kept and not played again.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.strangers import capture, day, files, labels, logs, senders, worlds

RESULTS = Path(__file__).parents[1] / "results/strangers.json"
OTHERS: dict[str, Callable[[int | None], dict[str, Any]]] = {
    "day": lambda count: {"target": day.TARGET, "rows": [day.run(count or 864_000)]},
    "logs": lambda _: logs.run(),
    "capture": lambda _: capture.run(),
}
KINDS = ("csv", "gzip", "jsonl", "parquet", "xlsx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["files", "worlds", "labels", "senders", *OTHERS])
    parser.add_argument("--count", type=int, help="damaged files a format (10,000); captures of a day (864,000)")
    parser.add_argument("--kind", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--seeds", type=int, default=20, help="of each world")
    parser.add_argument("--world", default="", help="only worlds with this in their name")
    arguments = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if arguments.part == "worlds":
        wanted = [task for task in worlds.tasks(arguments.seeds) if arguments.world in task.name]
        results["worlds"] = worlds.table(worlds.play_all(wanted))
        print(json.dumps(results["worlds"], indent=1))
        _write(results)
        return
    if arguments.part in OTHERS:
        results[arguments.part] = OTHERS[arguments.part](arguments.count)
        print(json.dumps(results[arguments.part], indent=1))
        _write(results)
        return
    if arguments.part in ("labels", "senders"):
        part = labels if arguments.part == "labels" else senders
        results[arguments.part] = part.run(arguments.seeds)
        print(json.dumps(results[arguments.part], indent=1))
        _write(results)
        return
    counts = results.setdefault("files", {"target": {"escaped": 0, "peak_mb": files.MEMORY_MB}, "formats": {}})
    for kind in arguments.kind:
        counts["formats"][kind] = files.run(kind, arguments.count or 10_000)
        print(kind, json.dumps(counts["formats"][kind], indent=1), flush=True)
        _write(results)


def _write(results: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
