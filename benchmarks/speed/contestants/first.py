"""A cold start: ``first.py MODULE EVENT PATH...`` imports a handler and has it answer one event."""

import importlib
import json
import sys

sys.path[:0] = sys.argv[3:]
handler = importlib.import_module(sys.argv[1]).handler
with open(sys.argv[2], "rb") as file:  # noqa: PTH123  # pathlib would be an import that no contestant needs
    event = json.loads(file.read())
answer = handler(event, None)
assert answer["statusCode"] == 200, answer
