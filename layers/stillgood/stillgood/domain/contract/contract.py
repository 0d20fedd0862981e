"""The feature contract: one JSON file that says what a row is, and what a model must reach.

The contract alone adapts the library to a data set; nothing else knows the name of a feature. ``contract_check`` holds the rules for rows.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from sys import float_info
from typing import Any, Literal, TypeGuard, cast, get_args

from stillgood.domain.contract.row_check import LONGEST, CheckedRow, Repair, Violation, check
from stillgood.domain.errors import ContractInvalid
from stillgood.domain.formats import FORMER_WORD, current_format

__all__ = [
    "CheckedRow",
    "Contract",
    "Costs",
    "Feature",
    "Floors",
    "MonitoringRules",
    "Repair",
    "Target",
    "TrainingRules",
    "Violation",
]

FORMAT, FORMAT_VERSION = "stillgood.contract", 1
_CENTURY_DAYS = 36_525  # longer spans lead before the first year there is

Kind = Literal["numeric", "integer", "boolean", "categorical"]
Unseen = Literal["refuse", "accept"]
type FeatureValue = float | str | None


@dataclass(frozen=True, slots=True)
class Feature:
    """One column a model reads. ``if_missing`` is the stated repair: a blank becomes this value, counted as a repair."""

    name: str
    kind: Kind
    minimum: float | None = None
    maximum: float | None = None
    levels: tuple[str, ...] = ()
    nullable: bool = False
    if_missing: FeatureValue = None
    unseen: Unseen = "refuse"
    pii: bool = False
    description: str = ""
    example: FeatureValue = None
    level_set: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())
    plain_levels: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())
    low: float = field(init=False, repr=False, compare=False, default=-float_info.max)
    high: float = field(init=False, repr=False, compare=False, default=float_info.max)

    def __post_init__(self) -> None:
        """What ``check`` looks up for every row: levels as sets, all and those taken as they are, and bounds that are numbers even where none is set."""
        object.__setattr__(self, "level_set", frozenset(self.levels))
        plain = (level for level in self.levels if level.isascii() and len(level) <= LONGEST)
        object.__setattr__(self, "plain_levels", frozenset(plain))
        if self.minimum is not None:
            object.__setattr__(self, "low", self.minimum)
        if self.maximum is not None:
            object.__setattr__(self, "high", self.maximum)


@dataclass(frozen=True, slots=True)
class Target:
    """The outcome column, and its two values as text."""

    name: str
    positive: str
    negative: str


@dataclass(frozen=True, slots=True)
class Floors:
    """What any model must reach, each 0 to 1; ``recall`` is also what the decision threshold is tuned for."""

    roc_auc: float = 0.7
    recall: float = 0.8
    precision: float = 0.0


@dataclass(frozen=True, slots=True)
class Costs:
    """In one currency: a missed positive, an offer made; ``capacity`` is the largest number of offers per 1,000 rows, None for no limit."""

    miss: float
    offer: float
    capacity: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingRules:
    """``window_days``: learn only from rows at most this old, None for all. ``holdout_fraction`` of the rows is never learnt from."""

    min_rows: int = 200
    holdout_fraction: float = 0.2
    holdout_rows: int = 3000
    window_days: float | None = None
    inverse_regularisation: float = 1.0


@dataclass(frozen=True, slots=True)
class MonitoringRules:
    """``min_rows``: fewer captured rows are not enough evidence. ``period_hours``: the season's length, None for none."""

    min_rows: int = 200
    period_hours: float | None = None
    label_maturity_days: float = 30.0


@dataclass(frozen=True, slots=True)
class Contract:
    """``features`` in the order in which a logit is summed. ``sha256`` is of the canonical JSON."""

    name: str
    version: str
    id_column: str | None
    time_column: str | None
    target: Target
    features: tuple[Feature, ...]
    floors: Floors = field(default_factory=Floors)
    costs: Costs | None = None
    slices: tuple[str, ...] = ()
    training: TrainingRules = field(default_factory=TrainingRules)
    monitoring: MonitoringRules = field(default_factory=MonitoringRules)
    columns: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())

    def __post_init__(self) -> None:
        named = (self.id_column, self.time_column, self.target.name)
        object.__setattr__(self, "columns", frozenset([*(one.name for one in self.features), *filter(None, named)]))

    def check(
        self, raw: Mapping[str, object], *, text: bool = False, extra: Literal["refuse", "ignore"] = "refuse"
    ) -> CheckedRow:
        """Check one row: every field at once; never raises.

        ``text``: the values are CSV text (trimmed, blank is missing, 1/0/true/false/yes/no are booleans, decimals are numbers);
        otherwise JSON, strict about types. ``extra``: what an unknown field is. The id, time and target columns are always allowed.
        """
        return check(self, raw, text=text, extra=extra)

    def feature(self, name: str) -> Feature:
        """Raises KeyError."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        raw = asdict(self)
        raw["id"], raw["time"] = raw.pop("id_column"), raw.pop("time_column")
        del raw["columns"]
        for one in raw["features"]:
            one["levels"] = list(one["levels"])
            del one["level_set"], one["plain_levels"], one["low"], one["high"]
        raw["slices"], raw["features"] = list(raw["slices"]), list(raw["features"])
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **raw}

    @property
    def sha256(self) -> str:
        hashed = self.to_dict() | {"format": f"{FORMER_WORD}.contract"}  # hashes from before the rename stay valid
        text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_dict(cls, raw: object) -> "Contract":
        """Raises ContractInvalid, which names the place (``features[2].minimum``) and the rule."""
        top = _Reader.at("contract", raw)
        if current_format(top.raw.get("format")) != FORMAT:
            raise top.broken("format", f'must be "{FORMAT}"')
        if top.raw.get("format_version") != FORMAT_VERSION:
            raise top.broken("format_version", f"must be {FORMAT_VERSION}, the only one this library reads")
        contract = cls(
            name=top.text("name"),
            version=top.text("version"),
            id_column=top.text("id", None),
            time_column=top.text("time", None),
            target=_target(top.part("target")),
            features=tuple(_feature(one) for one in top.parts("features")),
            floors=_floors(top.part("floors")),
            costs=_costs(top.part("costs")) if top.get("costs", None) is not None else None,
            slices=top.texts("slices"),
            training=_training(top.part("training")),
            monitoring=_monitoring(top.part("monitoring")),
        )
        top.done("format", "format_version")
        _check_names(contract)
        return contract

    def example(self) -> dict[str, Any]:
        """A JSON row that passes the check, for documentation."""
        return {one.name: _example(one) for one in self.features}


_MISSING: Any = object()


class _Reader:
    """Reads one JSON object field by field and knows its place, so that every error can name it."""

    def __init__(self, path: str, raw: Mapping[str, Any]) -> None:
        self.path, self.raw, self.seen = path, raw, set[str]()

    @classmethod
    def at(cls, path: str, raw: object) -> "_Reader":
        if not isinstance(raw, Mapping):
            raise ContractInvalid(f"{path} must be a JSON object, not {type(raw).__name__}.")
        return cls(path, raw)

    def broken(self, name: str, rule: str) -> ContractInvalid:
        place = name if self.path == "contract" else f"{self.path}.{name}"
        return ContractInvalid(f"{place} {rule}.", path=place)

    def get(self, name: str, default: Any = _MISSING) -> Any:
        self.seen.add(name)
        value = self.raw.get(name)
        if value is None:
            if default is _MISSING:
                raise self.broken(name, "is required")
            return default
        if not _is_text(value):
            raise self.broken(name, "holds half of a surrogate pair, which no file can hold")
        return value

    def text(self, name: str, default: Any = _MISSING) -> Any:
        value = self.get(name, default)
        if value is not default and (not isinstance(value, str) or not value.strip()):
            raise self.broken(name, "must be a text that is not empty")
        return value

    def number(self, name: str, default: Any = _MISSING, low: float = -math.inf, high: float = math.inf) -> Any:
        value = self.get(name, default)
        if value is default:
            return value
        if not _is_number(value):
            raise self.broken(name, "must be a finite number")
        if not low <= value <= high:
            raise self.broken(name, f"must be within {low:g} and {high:g}")
        return value

    def flag(self, name: str) -> bool:
        value = self.get(name, False)
        if not isinstance(value, bool):
            raise self.broken(name, "must be true or false")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one and _is_text(one) for one in value):
            raise self.broken(name, "must be a list of texts")
        if len(set(value)) != len(value):
            raise self.broken(name, "must not repeat a value")
        return tuple(value)

    def part(self, name: str) -> "_Reader":
        place = name if self.path == "contract" else f"{self.path}.{name}"
        return _Reader.at(place, self.get(name, {}))

    def parts(self, name: str) -> Iterator["_Reader"]:
        value = self.get(name)
        if not isinstance(value, list) or not value:
            raise self.broken(name, "must be a list that is not empty")
        return (_Reader.at(f"{name}[{i}]", one) for i, one in enumerate(value))

    def done(self, *more: str) -> None:
        if unknown := sorted(set(self.raw) - self.seen - set(more)):
            raise self.broken(unknown[0], f"is not known here; known are {', '.join(sorted(self.seen))}")


def _target(part: _Reader) -> Target:
    target = Target(part.text("name"), part.text("positive"), part.text("negative"))
    if target.positive == target.negative:
        raise part.broken("negative", "must differ from positive")
    part.done()
    return target


def _floors(part: _Reader) -> Floors:
    standard = Floors()
    floors = Floors(
        part.number("roc_auc", standard.roc_auc, 0, 1),
        part.number("recall", standard.recall, 0, 1),
        part.number("precision", standard.precision, 0, 1),
    )
    part.done()
    return floors


def _costs(part: _Reader) -> Costs:
    costs = Costs(part.number("miss", low=0), part.number("offer", low=0), part.number("capacity", None, 0, 1000))
    part.done()
    return costs


def _training(part: _Reader) -> TrainingRules:
    standard = TrainingRules()
    rules = TrainingRules(
        min_rows=int(part.number("min_rows", standard.min_rows, 20)),
        holdout_fraction=part.number("holdout_fraction", standard.holdout_fraction, 0.01, 0.5),
        holdout_rows=int(part.number("holdout_rows", standard.holdout_rows, 20)),
        window_days=part.number("window_days", None, 0, _CENTURY_DAYS),
        inverse_regularisation=part.number("inverse_regularisation", standard.inverse_regularisation, 1e-6, 1e6),
    )
    part.done()
    return rules


def _monitoring(part: _Reader) -> MonitoringRules:
    standard = MonitoringRules()
    rules = MonitoringRules(
        min_rows=int(part.number("min_rows", standard.min_rows, 1)),
        period_hours=part.number("period_hours", None, 1, 24 * _CENTURY_DAYS),
        label_maturity_days=part.number("label_maturity_days", standard.label_maturity_days, 0, _CENTURY_DAYS),
    )
    part.done()
    return rules


def _feature(part: _Reader) -> Feature:
    kind = part.text("kind")
    if kind not in get_args(Kind):
        raise part.broken("kind", f"must be one of {', '.join(get_args(Kind))}")
    numeric = kind in ("numeric", "integer")
    feature = Feature(
        name=part.text("name"),
        kind=cast(Kind, kind),
        minimum=part.number("minimum", None) if numeric else None,
        maximum=part.number("maximum", None) if numeric else None,
        levels=part.texts("levels") if kind == "categorical" else (),
        nullable=part.flag("nullable"),
        if_missing=part.get("if_missing", None),
        unseen=part.get("unseen", "refuse"),
        pii=part.flag("pii"),
        description=part.get("description", ""),
        example=part.get("example", None),
    )
    # Written by to_dict for every kind, empty where they mean nothing.
    for name in ("minimum", "maximum", "levels"):
        if name not in part.seen and part.raw.get(name) not in (None, []):
            raise part.broken(name, f"means nothing for a {kind} feature")
        part.seen.add(name)
    part.done()
    if not isinstance(feature.description, str):
        raise part.broken("description", "must be a text")
    if kind == "categorical" and not feature.levels:
        raise part.broken("levels", "must list the known values of a categorical feature")
    if feature.minimum is not None and feature.maximum is not None and feature.minimum > feature.maximum:
        raise part.broken("minimum", "must not be above maximum")
    if feature.unseen not in get_args(Unseen):
        raise part.broken("unseen", "must be refuse or accept")
    for name, value in (("if_missing", feature.if_missing), ("example", feature.example)):
        if value is not None and not _fits(feature, value):
            raise part.broken(name, "must itself obey the feature's rules")
    return feature


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether ``value`` is a number that a float can hold; JSON has integers that none can."""
    try:
        return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def _is_text(value: object) -> bool:
    """False for a text that is not valid Unicode: JSON can smuggle in lone surrogates, which no file can hold."""
    try:
        if isinstance(value, str):
            value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fits(feature: Feature, value: object) -> bool:
    if feature.kind == "categorical":
        return isinstance(value, str) and (value in feature.levels or feature.unseen == "accept")
    if feature.kind == "boolean":
        return value in (0, 1)
    if not _is_number(value):
        return False
    low, high = feature.minimum, feature.maximum
    whole = feature.kind == "numeric" or float(value).is_integer()
    return whole and (low is None or value >= low) and (high is None or value <= high)


def _check_names(contract: Contract) -> None:
    names = [one.name for one in contract.features]
    columns = [*names, contract.target.name, *(one for one in (contract.id_column, contract.time_column) if one)]
    for name in columns:
        if columns.count(name) > 1:
            raise ContractInvalid(f'features: "{name}" names two columns; every column has one role.', path="features")
    for i, name in enumerate(contract.slices):
        if name not in names or contract.feature(name).kind not in ("categorical", "boolean"):
            raise ContractInvalid(f"slices[{i}] must name a categorical or boolean feature.", path=f"slices[{i}]")


def _example(feature: Feature) -> object:
    if feature.example is not None:
        return feature.example
    if feature.kind == "categorical":
        return feature.levels[0]
    if feature.kind == "boolean":
        return True
    low, high = feature.minimum, feature.maximum
    if low is not None and high is not None:
        middle = (low + high) / 2
        return middle if feature.kind == "numeric" else math.floor(middle)
    return low if low is not None else high if high is not None else 0
