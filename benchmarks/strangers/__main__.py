"""python -m benchmarks.strangers files [--count N] [--kind csv ...]: writes benchmarks/results/strangers.json."""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.strangers import files

RESULTS = Path(__file__).parents[1] / "results/strangers.json"
KINDS = ("csv", "gzip", "jsonl", "parquet", "xlsx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["files"])
    parser.add_argument("--count", type=int, default=10_000, help="damaged files a format")
    parser.add_argument("--kind", nargs="*", default=KINDS, choices=KINDS)
    arguments = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    told = results.setdefault("files", {"target": {"escaped": 0, "peak_mb": files.MEMORY_MB}, "formats": {}})
    for kind in arguments.kind:
        told["formats"][kind] = files.run(kind, arguments.count)
        print(kind, json.dumps(told["formats"][kind], indent=1), flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
