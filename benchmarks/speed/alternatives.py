"""The monitoring libraries that are measured against, in an environment of their own: evidently does not run with the
locked pandas.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.speed.packages import ROOT

REQUIREMENTS = Path(__file__).with_name("alternatives.txt")
PLACE = ROOT / ".local" / "bench" / "alternatives"


def interpreter() -> str | None:
    """The Python of that environment, made on first use; None, with the reason printed, where it cannot be made."""
    python, mark = PLACE / "bin" / "python", PLACE / "stamp"
    stamp = hashlib.sha256(sys.version.encode() + REQUIREMENTS.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == stamp:
        return str(python)
    if (uv := shutil.which("uv")) is None:
        print("  no uv: evidently and NannyML are left out; `make bench` brings one")
        return None
    print("  installing evidently and NannyML ...", flush=True)
    # --no-deps: the file is complete, and leaves out half a gigabyte that neither of them needs here.
    install = ["pip", "install", "--quiet", "--no-deps", "--compile-bytecode", "--python", str(python)]
    for command in (
        ["venv", "--quiet", "--clear", "--python", sys.executable, str(PLACE)],
        [*install, "-r", str(REQUIREMENTS)],
    ):
        done = subprocess.run([uv, *command], capture_output=True, text=True)
        if done.returncode:
            print(f"  evidently and NannyML are left out, they cannot be installed here: {done.stderr.strip()[-300:]}")
            return None
    mark.write_text(stamp)
    return str(python)
