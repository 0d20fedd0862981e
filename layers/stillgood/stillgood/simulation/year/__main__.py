"""``make simulate SEED=7 DAYS=60``: live one seed and say what did not hold; ``SHRINK=1`` makes a failing one small."""

import argparse
import json
import sys
from dataclasses import asdict

from stillgood.simulation.year.run import live
from stillgood.simulation.year.shrink import shrink


def main() -> int:
    """1 where an invariant broke."""
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--shrink", action="store_true", help="leave out operations and faults while it still fails")
    args = parser.parse_args()
    lived = live(args.seed, args.days)
    print(
        f"seed {args.seed}, {args.days} days: {sum(lived.operations.values())} operations, {len(lived.faults)} faults"
    )
    print(f"objects left: sha256 {lived.digest}")
    for name, count in {**lived.operations, **lived.counts}.items():
        print(f"  {name}: {count}")
    for breach in lived.broken:
        print(f"BROKEN {breach.invariant}, {breach.at:%Y-%m-%d %H:%M}: {breach.detail}")
    if lived.broken and args.shrink:
        small = shrink(args.seed, args.days, lived.broken[0].invariant)
        print(f"left after {small.lives} lives: {len(small.plan.operations)} operations, {len(small.faults)} faults")
        for operation in small.plan.operations:
            print(f"  {operation.number} at {operation.at:.3f} s: {operation.kind} {json.dumps(operation.args)[:160]}")
        for fault in small.faults:
            print(f"  {asdict(fault)}")
    return bool(lived.broken)


if __name__ == "__main__":
    sys.exit(main())
