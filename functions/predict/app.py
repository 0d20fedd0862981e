"""predict: HTTP in, HTTP out. See events/predict.json, predict_batch.json (a list), predict_invalid.json, model.json
and status.json.
"""

import gc

# Imports create almost no garbage; collecting during them costs 7% of the cold start.
gc.disable()

from typing import Any  # noqa: E402  # after gc.disable() on purpose

from stillgood.wiring.predict import api, register_hooks  # noqa: E402

register_hooks()

gc.freeze()
gc.enable()


def handler(event: object, context: object) -> dict[str, Any]:
    """Answer one HTTP API event, or a warm-up ping."""
    return api()(event, context)
