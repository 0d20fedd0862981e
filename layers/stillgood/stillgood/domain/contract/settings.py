"""Settings: the parts of a contract that do not change what a model computes. They take effect without a candidate."""

from dataclasses import replace

from stillgood.domain.contract.changes import Change, changes
from stillgood.domain.contract.contract import Contract

# By their names in the file. ``objective``, ``costs`` and ``floors`` move the operating point, by its own rules.
SETTINGS = (
    "floors",
    "costs",
    "slices",
    "monitoring",
    "promotion",
    "labels",
    "objective",
    "operating_point",
    "capture",
    "callers",
    "may_change",
    "units",
)
_WORDS_ONLY = ("name", "version", "$schema")


def with_settings(model: Contract, settings: Contract) -> Contract:
    """The contract of a model with the settings of another one. Its features, target and columns stay."""
    known = {feature.name for feature in model.features}
    return replace(
        model,
        floors=settings.floors,
        costs=settings.costs,
        slices=tuple(name for name in settings.slices if any(name == feature.name for feature in model.features)),
        monitoring=settings.monitoring,
        promotion=settings.promotion,
        labels=settings.labels,
        stated_objective=settings.stated_objective,
        operating_point=settings.operating_point,
        capture=settings.capture,
        callers=settings.callers,
        may_change={name: how for name, how in settings.may_change.items() if name in known},
        units={name: unit for name, unit in settings.units.items() if name in known},
    )


def split(old: Contract, new: Contract) -> tuple[list[Change], list[Change]]:
    """The changes that take effect by themselves, and those that a candidate has to bring."""
    changed = changes(old, new)
    now = [change for change in changed if change.place.partition(".")[0] in SETTINGS]
    later = [change for change in changed if change not in now and change.place not in _WORDS_ONLY]
    return now, later
