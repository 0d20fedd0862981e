"""What differs between two contracts, and what each difference means for what is there already."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.fields import FIELDS

SUBJECTS = ("champion", "clients", "captured", "labels", "reference")

_SAME = "serves on, by the contract that it was trained by"
_LEARNS = "the next candidate learns by it"
_JUDGED = "A candidate is judged against the champion on the same rows, each reading its own columns."
_CAPTURED = "captured rows keep every column that was known when they were captured"
# What a change of these settings touches; anything else in the contract is told by its path alone.
_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "floors": {
        "champion": "serves on; what it must reach is judged by its own contract until a candidate replaces it",
        "reference": "stays",
    },
    "costs": {
        "champion": "serves on with its threshold; the next candidate gets one by these costs",
        "reference": "stays",
    },
    "objective": {"champion": "serves on with its threshold; the next candidate gets one by this objective"},
    "training": {"champion": "serves on; the next training goes by it"},
    "monitoring": {"champion": "is watched by its own contract until a candidate replaces it"},
    "labels": {"labels": "mean what this section says from the next training on; what was judged stays judged"},
    "slices": {"champion": "serves on; the gate looks at these slices of the next candidate"},
    "source": {"champion": "serves on; files are read like this from now on"},
    "extra": {"clients": "rows with columns that the contract does not name are refused or let through as it says"},
    "callers": {
        "captured": "captures keep the callers' names as they were kept then",
        "labels": "of a caller count as another source's from then on: name it anew in labels.vouched_sources",
    },
    "name": {"champion": "serves on; the name is words only"},
    "version": {"champion": "serves on; the version is words only"},
}

_DEFAULTS = {field.place: field.default for field in FIELDS if not field.required}


@dataclass(frozen=True, slots=True)
class Change:
    """``place``: where in the contract; ``what`` changed, in words; ``means``: by subject, what follows from it."""

    place: str
    what: str
    means: Mapping[str, str] = field(default_factory=dict)


def changes(old: Contract, new: Contract) -> list[Change]:
    """Every difference, features first, in the order of the new contract."""
    before = {feature["name"]: feature for feature in old.to_dict()["features"]}
    after = {feature["name"]: feature for feature in new.to_dict()["features"]}
    differences: list[Change] = []
    for name, feature in after.items():
        differences += [_added(name, feature)] if name not in before else _changed(name, before[name], feature)
    differences += [_dropped(name) for name in before if name not in after]
    differences += _identity(old, new)
    raw_old, raw_new = _settings(old), _settings(new)
    for section in dict.fromkeys([*raw_old, *raw_new]):
        if raw_old.get(section) != raw_new.get(section):
            differences.append(
                Change(
                    section,
                    _difference(raw_old.get(section), raw_new.get(section), section),
                    _SETTINGS.get(section, {}),
                )
            )
    return differences


def _settings(contract: Contract) -> dict[str, Any]:
    left_out = ("format", "format_version", "features", "id", "time", "target")
    return {name: value for name, value in contract.to_dict().items() if name not in left_out}


def _added(name: str, feature: Mapping[str, Any]) -> Change:
    optional = feature.get("nullable") or feature.get("if_missing") is not None
    return Change(
        f"features.{name}",
        f"a new {feature['kind']} feature",
        {
            "champion": f"{_SAME}: it does not read {name}. {_JUDGED}",
            "clients": (
                f'may send {name} now, if the contract says "extra": "ignore"; '
                + (
                    "need not later: a row may leave it out; a file has the column, if blank"
                    if optional
                    else "must once a candidate that reads it is promoted"
                )
            ),
            "captured": (
                f"rows captured before have no {name}; "
                + (
                    "they still teach, with it missing"
                    if optional
                    else 'rows without it are not learnt from; "nullable": true would let them teach'
                )
            ),
            "labels": "stay, and join as before",
            "reference": f"the champion's has no {name}: it is watched once a candidate is promoted",
        },
    )


def _dropped(name: str) -> Change:
    return Change(
        f"features.{name}",
        "no feature any more",
        {
            "champion": f"{_SAME}, so it still needs {name} until a candidate without it is promoted. {_JUDGED}",
            "clients": f'send {name} until then; afterwards it is refused as unknown, or ignored by "extra": "ignore"',
            "captured": f"{_CAPTURED}; the new model does not read {name}",
            "labels": "stay, and join as before",
            "reference": f"a candidate's has no {name}",
        },
    )


def _changed(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    place = f"features.{name}"
    if old["kind"] != new["kind"]:
        yield Change(
            place,
            f"{old['kind']} becomes {new['kind']}",
            {
                "champion": f"{_SAME}, reading {name} as {old['kind']}. {_JUDGED}",
                "clients": f"send it as {old['kind']} until a candidate is promoted, as {new['kind']} afterwards",
                "captured": (
                    f"a captured value that does not read as {new['kind']} is refused when it is learnt from, by name"
                ),
                "labels": "stay, and join as before",
                "reference": (
                    "starts anew with the candidate: drift of this feature is not comparable across the change"
                ),
            },
        )
        return
    levels, levels_before = set(new.get("levels") or ()), set(old.get("levels") or ())
    if more := [level for level in new.get("levels") or () if level not in levels_before]:
        yield Change(
            place,
            f"new levels: {', '.join(more)}",
            {
                "champion": "serves on; it refuses the new level, or takes it as unseen where its contract says so",
                "clients": "may send the level once a candidate is promoted",
                "captured": "rows with the level were refused so far, or captured as unseen; they teach from now on",
                "labels": "stay, and join as before",
                "reference": "the champion's has no share for it: it shows as unseen until a candidate is promoted",
            },
        )
    if fewer := [level for level in old.get("levels") or () if level not in levels]:
        yield Change(
            place,
            f"levels gone: {', '.join(fewer)}",
            {
                "champion": f"{_SAME}: it still takes the level",
                "clients": 'are refused with the level once a candidate is promoted, unless "unseen": "accept"',
                "captured": 'rows with the level are not learnt from any more, unless "unseen": "accept"',
                "labels": "stay, and join as before",
                "reference": "a candidate's has no share for it",
            },
        )
    if (old.get("minimum"), old.get("maximum")) != (new.get("minimum"), new.get("maximum")):
        wider = _low(new) <= _low(old) and _high(new) >= _high(old)
        yield Change(
            place,
            f"range {_range(old)} becomes {_range(new)}",
            {
                "champion": f"{_SAME} and its range",
                "clients": "may send values of the new range once a candidate is promoted",
                "captured": "all still teach" if wider else "rows outside the new range are not learnt from any more",
                "labels": "stay, and join as before",
                "reference": "stays comparable: counts are by the champion's own values",
            },
        )
    for setting in dict.fromkeys([*old, *new]):
        if setting in ("name", "kind", "levels", "minimum", "maximum") or old.get(setting) == new.get(setting):
            continue
        means = {"champion": _SAME, "captured": f"{_LEARNS}: rows are read by the new rule"}
        if setting == "pii" and new.get("pii"):
            means["captured"] = (
                f"{name} is not captured any more once a candidate is promoted; what was captured stays until it is"
                " forgotten"
            )
        yield Change(place, f"{setting} {_difference(old.get(setting), new.get(setting))}", means)


def _identity(old: Contract, new: Contract) -> Iterator[Change]:
    if old.target != new.target:
        another = {
            "champion": "serves on, and predicts the old outcome: no candidate for the new one can be compared with it",
            "labels": "with the old values are refused from now on",
            "captured": "stay; training rows with the old outcome are refused by name",
            "reference": "starts anew with the candidate",
        }
        yield Change(
            "target",
            f"{old.target.name} = {old.target.positive} becomes {new.target.name} = {new.target.positive}",
            another,
        )
    if old.id_column != new.id_column:
        means = {
            "champion": "serves on",
            "labels": "by entity find predictions made after the change by the new id only",
            "captured": "keep the id that they were captured with",
            "reference": "the rows held out for the gate are chosen by the id, so another split begins",
        }
        yield Change("id", _difference(old.id_column, new.id_column), means)
    if old.time_column != new.time_column:
        means = {
            "champion": "serves on",
            "captured": "rows are dated by the new column, or by their folder without one",
        }
        yield Change("time", _difference(old.time_column, new.time_column), means)


def _difference(old: object, new: object, place: str = "") -> str:
    """What becomes of what; a setting at ``place`` that is left out is told by its default."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
        return ", ".join(f"{key} {_difference(old.get(key), new.get(key), f'{place}.{key}')}" for key in keys)
    values = [_DEFAULTS.get(place) if value is None else value for value in (old, new)]
    return f"{_shown(values[0])} becomes {_shown(values[1])}"


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)


def _low(feature: Mapping[str, Any]) -> float:
    value = feature.get("minimum")
    return float("-inf") if value is None else float(value)


def _high(feature: Mapping[str, Any]) -> float:
    value = feature.get("maximum")
    return float("inf") if value is None else float(value)


def _range(feature: Mapping[str, Any]) -> str:
    return f"{_low(feature):g} to {_high(feature):g}"
