"""Who is told: an EventBridge bus, if the environment names one."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from stillgood.aws.announcer import EventBridgeAnnouncer, Links
from stillgood.aws.settings import Settings
from stillgood.steps.announce import announce
from stillgood.storage.objects import ObjectStore


@cache
def announcing() -> EventBridgeAnnouncer | None:
    """The bus of STILLGOOD_EVENT_BUS; None when it is unset: then nobody is told. Raises SettingsInvalid."""
    settings = Settings.from_env()
    if settings.event_bus is None:
        return None
    return EventBridgeAnnouncer(settings.event_bus, links=Links(settings.bucket).to)


def announce_answer(store: ObjectStore, answer: Mapping[str, Any]) -> None:
    """Announce what a step's ``answer`` stands for. Raises SettingsInvalid, InvocationFailed."""
    if (announcer := announcing()) is not None:
        announce(store, answer, announcer)
