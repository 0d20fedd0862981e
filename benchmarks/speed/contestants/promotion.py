"""One promotion in this new process: ``promotion.py whole|reading EVENT PATH...``; CPU and wall seconds after imports
and the S3 client's start.

``reading``: two models and the holdout from S3, verified, and the rows scored by both; what no gate can do without.
"""

import importlib
import json
import sys
import time

sys.path[:0] = sys.argv[3:]
handler = importlib.import_module("app").handler
from stillgood.steps.promote.gather import gather  # noqa: E402
from stillgood.storage.registry import Registry  # noqa: E402
from stillgood.wiring.promote import deciding  # noqa: E402

event, deps = json.loads(sys.argv[2]), deciding()
pointer = Registry(deps.store).pointer()  # opens the connection, for either contestant


def reading():
    material = gather(deps.store, event["candidate"], pointer, {})
    return {"rows": len(material.case(0).y), "result": "read"}


start, wall = time.process_time(), time.perf_counter()
answer = handler(event, None) if sys.argv[1] == "whole" else reading()
print(json.dumps({"cpu": time.process_time() - start, "wall": time.perf_counter() - wall, "result": answer["result"]}))
