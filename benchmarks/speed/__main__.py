"""``python -m benchmarks.speed [TABLE ...]``: measures every table, or those named, and writes results/speed.json and
docs/benchmarks.md.
"""

import importlib
import os
import sys
import time

from benchmarks.speed.report import ORDER, publish, stored, summary


def main(names: list[str]) -> int:
    """1 when a table could not be measured; the others are written all the same. A missed target is a result, not an
    error.
    """
    started, failed = time.monotonic(), []
    for name in names or [group for group in ORDER if group != "demo" or os.environ.get("DEMO", "") not in ("", "0")]:
        print(f"{name} ... ({time.monotonic() - started:.0f} s)", flush=True)
        try:
            publish(name, *importlib.import_module(f"benchmarks.speed.{name}").measure())
        except Exception as error:  # one contestant that fails must not cost the other tables
            failed.append(name)
            print(f"  {name} could not be measured: {type(error).__name__}: {error}", file=sys.stderr)
    print("\n".join(summary(stored())))
    print(f"{time.monotonic() - started:.0f} s" + (f"; not measured: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
