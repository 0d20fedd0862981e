"""Runs one command and writes what it used: ``launch.py OUT COMMAND...``.

Linux counts the memory of whoever starts a process into that process's peak, so the starter must be small: this one
imports next to nothing.
"""

import json
import os
import sys
import time

start = time.perf_counter()
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(process, 0)
wall = time.perf_counter() - start
with open(sys.argv[1], "w") as out:  # noqa: PTH123  # pathlib would make this process larger
    code = os.waitstatus_to_exitcode(status)
    json.dump({"code": code, "wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}, out)
