"""A warm handler: ``many.py MODULE EVENT REQUESTS PUT PATH...`` answers one event over and over and tells the
latencies, in seconds.

``PUT``: "yes"; "no" stops a capture at the last step, when its record is built and encoded and S3 would be asked to
take it.
"""

import importlib
import json
import sys
import time

sys.path[:0] = sys.argv[5:]
handler = importlib.import_module(sys.argv[1]).handler
with open(sys.argv[2], "rb") as file:  # noqa: PTH123  # pathlib would be an import that no contestant needs
    event = json.loads(file.read())
requests = int(sys.argv[3])
if sys.argv[4] == "no":
    if sys.argv[1] == "app":
        from stillgood.aws.s3_obstore import ObstoreObjectStore

        ObstoreObjectStore.put = ObstoreObjectStore.create = lambda self, key, data: ""
    else:
        sys.modules[sys.argv[1]].put = lambda key, data: None

clock, took = time.perf_counter, []
for _ in range(requests // 10):
    handler(event, None)
begun = time.process_time()
for _ in range(requests):
    start = clock()
    answer = handler(event, None)
    took.append(clock() - start)
used = time.process_time() - begun
assert answer["statusCode"] == 200, answer
took.sort()
print(json.dumps({"p50": took[requests // 2], "p99": took[requests * 99 // 100], "cpu": used / requests}))
