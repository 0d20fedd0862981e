"""One event through a handler in this new process: ``whole.py MODULE EVENT PATH...``; says what the handler
answered.
"""

import importlib
import json
import sys
import time

sys.path[:0] = sys.argv[3:]
start = time.process_time()
handler = importlib.import_module(sys.argv[1]).handler
imported = time.process_time() - start
answer = handler(json.loads(sys.argv[2]), None)
print(json.dumps({"imported": imported, "answer": answer}))
