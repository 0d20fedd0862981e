"""The events that promote takes, by their ``action``."""

from collections.abc import Callable, Mapping
from typing import Any

from stillgood.steps.promote.cases import approve, refuse_case
from stillgood.steps.promote.mode import set_mode
from stillgood.steps.promote.move import move
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.release import release
from stillgood.steps.promote.rollback import roll_back
from stillgood.steps.promote.settings import put_settings

ACTIONS: Mapping[str, Callable[[Mapping[str, Any], PromoteDeps], dict[str, Any]]] = {
    "promote": promote,
    "rollback": roll_back,
    "move": move,
    "release": release,
    "mode": set_mode,
    "settings": put_settings,
    "approve": approve,
    "refuse": refuse_case,
}
