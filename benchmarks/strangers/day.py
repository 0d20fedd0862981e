"""A day of single captures (O29) in a process of its own, as a function has it: with the variables that the template
sets, and without the one by which threads share a heap.
"""

import json
import os
import subprocess
import sys
from typing import Any

from benchmarks.speed.world import constants

TARGET = {"seconds": 300, "peak_mb": 512, "gets_a_new_object": 2}
_HEAP = "MALLOC_ARENA_MAX"


def run(captures: int, *, one_heap: bool = True) -> dict[str, Any]:
    """Monitor's run over a day of ``captures``, after each of its hours was compacted; 30% are labelled, one a request.

    ``gets``: of all runs, for each capture and label; what monitor reads besides is among them.
    """
    environment = {name: value for name, value in os.environ.items() if name != _HEAP} | constants()
    if not one_heap:
        del environment[_HEAP]
    words = [sys.executable, "-m", "benchmarks.growth.day", str(captures)]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    life = json.loads(done.stdout)
    gets = (life["calls"]["get"] + life["calls_before"]["get"]) / (captures + int(0.3 * captures))
    row = {
        "captures": captures,
        "one_heap": one_heap,
        "seconds": round(life["seconds"], 1),
        "longest_hour_seconds": round(life["longest_hour_seconds"], 1),
        "peak_mb": round(life["peak_mb"], 1),
        "gets": round(gets, 3),
    }
    met = row["seconds"] < TARGET["seconds"] and row["peak_mb"] < TARGET["peak_mb"]
    return row | {"met": met and gets <= TARGET["gets_a_new_object"]}
