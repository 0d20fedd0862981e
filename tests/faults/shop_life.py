"""A life whose windows are judged on several processors, in processes that know no package of tests."""

from typing import Any


def live(shop: Any) -> Any:
    """The store after eight windows of labelled customers, whose outcomes turn after three: quiet, then a retrain."""
    for day in range(8):
        shop.monitor(day)
        shop.send(shop.predict(day, truth=1.5 if day < 3 else -1.0), day + 0.9, event=0.5)
    return shop.store
