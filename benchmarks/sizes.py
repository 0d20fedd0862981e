"""``python -m benchmarks.sizes``: builds every Lambda package and writes what each weighs, with the layer, to
results/sizes.json.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# MiB, unzipped, function and layer together; Lambda allows 250. batch's is more than 70 only for Parquet.
LIMITS = {"predict": 32, "batch": 180, "monitor": 80, "train": 235, "promote": 70}


def mib(folder: Path) -> float:
    """Size of all files below ``folder`` in MiB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def build(name: str, target: Path) -> Path:
    """The package ``name`` (or the layer) in ``target``, as `sam build` makes it."""
    subprocess.run([sys.executable, str(ROOT / "packaging" / "build.py"), name, str(target)], check=True)
    return target


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        layer = mib(build("layer", Path(folder) / "layer"))
        rows = []
        for name, limit in LIMITS.items():
            size = round(mib(build(name, Path(folder) / name)) + layer, 1)
            rows.append({"name": name, "value": size, "unit": "MiB", "limit": limit, "met": size <= limit})
            print(f"{name:8} {size:6.1f} MiB of {limit}")
    (ROOT / "benchmarks" / "results").mkdir(exist_ok=True)
    (ROOT / "benchmarks" / "results" / "sizes.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
