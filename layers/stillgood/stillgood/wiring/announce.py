"""Who is told: an EventBridge bus, if the environment names one."""

from functools import cache

from stillgood.aws.announcer import EventBridgeAnnouncer
from stillgood.aws.settings import Settings


@cache
def announcing() -> EventBridgeAnnouncer | None:
    """The bus of STILLGOOD_EVENT_BUS; None when it is unset: then nobody is told. Raises SettingsInvalid."""
    settings = Settings.from_env()
    return None if settings.event_bus is None else EventBridgeAnnouncer(settings.event_bus)
