"""The feature contract: one JSON file that says what a row is, and what a model must reach.

The contract alone adapts the library to a data set; nothing else knows the name of a feature. ``reader`` reads it,
``row_check`` holds the rules for rows.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from stillgood.domain.formats import FORMER_WORD

FORMAT, FORMAT_VERSION = "stillgood.contract", 1

Kind = Literal["numeric", "integer", "boolean", "categorical", "date"]
Unseen = Literal["refuse", "accept"]
Derive = Literal["days_before", "month", "weekday"]
Monotone = Literal["increasing", "decreasing"]
MayChange = Literal["increasing", "decreasing", "any"]
Family = Literal["logistic", "boosted", "auto"]
BelowFloors = Literal["ask", "refuse"]
Absent = Literal["unknown", "negative"]
NegativeNumber = Literal["minus", "parentheses", "trailing"]
CompleteUntil = Literal["sent", "file_date"]
ObjectiveKind = Literal["recall", "precision", "capacity", "cost"]
PointMode = Literal["follow", "fixed"]
Extra = Literal["refuse", "ignore"]
CaptureRule = Literal["best_effort", "required"]
CallerRule = Literal["named", "hashed"]
type FeatureValue = float | str | None

CALENDAR_LEVELS = {
    "month": tuple(str(month) for month in range(1, 13)),
    "weekday": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}

_KEYS = {
    "id_column": "id",
    "time_column": "time",
    "stated_objective": "objective",
    "derive": "as",
    "decimal_char": "decimalChar",
    "group_char": "groupChar",
    "missing_values": "missingValues",
    "true_values": "trueValues",
    "false_values": "falseValues",
    "bare_number": "bareNumber",
    "negative_number": "negativeNumber",
    "date_format": "dateFormat",
    "time_zone": "timeZone",
}
# Fields added to the format after contracts had been hashed are written only where they differ from their defaults.
_LATER = {"later": True}


@dataclass(frozen=True, slots=True)
class Feature:
    """One column a model reads. ``if_missing`` is the stated repair: a blank becomes this value, counted as a repair.

    ``aliases``: other spellings of levels. A date is read as ``derive`` says: a number of days before the row's time,
    or a level of the calendar.
    """

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
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False, metadata=_LATER)
    monotone: Monotone | None = field(default=None, metadata=_LATER)
    derive: Derive | None = field(default=None, metadata=_LATER)

    @property
    def categorical(self) -> bool:
        """Whether a checked value is one of ``levels``."""
        return self.kind == "categorical" or self.derive in CALENDAR_LEVELS


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
    """In one currency: a missed positive, an offer made; ``capacity`` is the largest number of offers per 1,000 rows,
    None for no limit.
    """

    miss: float
    offer: float
    capacity: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingRules:
    """``window_days``: learn only from rows at most this old, None for all. ``holdout_fraction`` of the rows is never
    learnt from.

    ``half_life_days``: learn from rows as old, on average, as if one of this age weighed half; None for all alike.
    """

    min_rows: int = 200
    holdout_fraction: float = 0.2
    holdout_rows: int = 3000
    window_days: float | None = None
    inverse_regularisation: float = 1.0
    family: Family = field(default="logistic", metadata=_LATER)
    half_life_days: float | None = field(default=None, metadata=_LATER)


@dataclass(frozen=True, slots=True)
class MonitoringRules:
    """``min_rows``: fewer captured rows are not enough evidence. ``period_hours``: the season's length, None for
    none.
    """

    min_rows: int = 200
    period_hours: float | None = None
    label_maturity_days: float = 30.0


@dataclass(frozen=True, slots=True)
class PromotionRules:
    """``below_floors``: what becomes of a better candidate under the floors; "ask" alerts a person, "refuse" only says
    so.
    """

    below_floors: BelowFloors = "ask"


@dataclass(frozen=True, slots=True)
class Source:
    """How files are written, in the words of Frictionless Table Schema and CSV Dialect; None where a reader shall find
    out.

    ``bare_number``: numbers stand alone, without a currency or a percent sign. ``negative_number``: "parentheses" for
    (5), "trailing" for 5-, each beside -5. ``time_zone``: of times without an offset, "Europe/Rome".
    """

    delimiter: str | None = None
    encoding: str | None = None
    decimal_char: str | None = None
    group_char: str | None = None
    missing_values: tuple[str, ...] = ("",)
    true_values: tuple[str, ...] = ()
    false_values: tuple[str, ...] = ()
    bare_number: bool = True
    date_format: str | None = None
    time_zone: str | None = None
    negative_number: NegativeNumber = field(default="minus", metadata=_LATER)


@dataclass(frozen=True, slots=True)
class LabelRules:
    """What a feed of labels means. Days count from the prediction.

    ``horizon_days``: what the prediction is about, None when it has no end. ``maturity_days``: None for that of
    ``monitoring`` (``Contract.label_maturity_days`` is the one that holds). ``absent``: what silence means once the
    horizon has passed. ``min_coverage``: 0 to 1, the share of a span's predictions whose outcome must be known before
    the span judges or teaches.
    """

    horizon_days: float | None = None
    maturity_days: float | None = None
    absent: Absent = "unknown"
    complete_until: CompleteUntil = "sent"
    min_coverage: float = 0.0
    vouched_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Objective:
    """What the operating point is for: ``value`` is the recall or precision to reach, or the share that may be flagged;
    0 for cost.
    """

    kind: ObjectiveKind
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class PointRules:
    """Whether the operating point follows the population, within which share flagged (0 to 1).

    ``margin``: how far the estimate must be from the objective, beyond its own uncertainty, before the point moves.
    """

    mode: PointMode = "follow"
    min_flagged: float = 0.0
    max_flagged: float = 1.0
    margin: float = 0.02


@dataclass(frozen=True, slots=True)
class Actions:
    """That somebody acts on decisions. ``control_share`` (0 to .5) of flagged entities is left alone for
    ``rotate_days`` each.

    ``exempt`` names a column: a row with a true value there is never left alone, and never counted.
    """

    control_share: float
    by: Literal["entity"] = "entity"
    rotate_days: float = 90.0
    exempt: str | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """``features`` in the order in which a logit is summed. ``sha256`` is of the canonical JSON.

    ``may_change``: the features that a person could change, and in which direction; no model reads it.
    ``units``: what numbers count, in words, for reports.
    """

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
    promotion: PromotionRules = field(default_factory=PromotionRules, metadata=_LATER)
    source: Source | None = field(default=None, metadata=_LATER)
    labels: LabelRules = field(default_factory=LabelRules, metadata=_LATER)
    stated_objective: Objective | None = field(default=None, metadata=_LATER)
    operating_point: PointRules = field(default_factory=PointRules, metadata=_LATER)
    actions: Actions | Literal["none"] | None = field(default=None, metadata=_LATER)
    extra: Extra = field(default="refuse", metadata=_LATER)
    capture: CaptureRule = field(default="best_effort", metadata=_LATER)
    callers: CallerRule = field(default="named", metadata=_LATER)
    may_change: Mapping[str, MayChange] = field(default_factory=dict, hash=False, metadata=_LATER)
    units: Mapping[str, str] = field(default_factory=dict, hash=False, metadata=_LATER)

    @property
    def columns(self) -> frozenset[str]:
        """Every column that a row may have."""
        exempt = self.control.exempt if self.control else None
        named = (self.id_column, self.time_column, self.target.name, exempt)
        return frozenset([*(feature.name for feature in self.features), *filter(None, named)])

    def feature(self, name: str) -> Feature:
        """Raises KeyError."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """JSON data. Later additions to the format are left out at their defaults, so that old hashes stay valid."""
        raw = _plain(self)
        raw["id"], raw["time"] = raw.pop("id"), raw.pop("time")
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **raw}

    @property
    def control(self) -> Actions | None:
        """How actions on decisions are declared; None where they are not, or where nobody acts."""
        return self.actions if isinstance(self.actions, Actions) else None

    @property
    def objective(self) -> Objective:
        """What the operating point is for: as stated, else the least cost where there are costs, else recall at its
        floor.
        """
        if self.stated_objective is not None:
            return self.stated_objective
        return Objective("recall", self.floors.recall) if self.costs is None else Objective("cost")

    @property
    def floors_that_judge(self) -> Floors:
        """Those of recall and precision only where the objective is a recall, that of precision also where it is one:
        what another objective leaves of them is its consequence, not a fault.
        """
        kind, floors = self.objective.kind, self.floors
        return Floors(
            roc_auc=floors.roc_auc,
            recall=floors.recall if kind == "recall" else 0.0,
            precision=floors.precision if kind in ("recall", "precision") else 0.0,
        )

    @property
    def label_maturity_days(self) -> float:
        """From when on a label counts as final, in days after its prediction: of ``labels``, else of ``monitoring``."""
        stated = self.labels.maturity_days
        return self.monitoring.label_maturity_days if stated is None else stated

    @property
    def sha256(self) -> str:
        hashed = self.to_dict() | {"format": f"{FORMER_WORD}.contract"}  # hashes from before the rename stay valid
        text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def example(self) -> dict[str, Any]:
        """A JSON row that passes the check, for documentation."""
        return {feature.name: _example(feature) for feature in self.features}


def _example(feature: Feature) -> object:
    if feature.example is not None:
        return feature.example
    if feature.kind == "date":
        return "2026-01-31"
    if feature.kind == "categorical":
        return feature.levels[0]
    if feature.kind == "boolean":
        return True
    low, high = feature.minimum, feature.maximum
    if low is not None and high is not None:
        middle = (low + high) / 2
        return middle if feature.kind == "numeric" else math.floor(middle)
    return low if low is not None else high if high is not None else 0


def _plain(value: Any) -> Any:
    """A dataclass as JSON data, under the names of the file."""
    if isinstance(value, Objective):
        return {value.kind: True if value.kind == "cost" else value.value}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return dict(value)
    if not hasattr(value, "__dataclass_fields__"):
        return value
    raw, later = {}, isinstance(value, PromotionRules | Source | LabelRules | PointRules)
    for attribute in filter(lambda attribute: attribute.init, fields(value)):
        part = getattr(value, attribute.name)
        default = attribute.default if attribute.default_factory is MISSING else attribute.default_factory()
        if part != default or not (later or attribute.metadata.get("later")):
            raw[_KEYS.get(attribute.name, attribute.name)] = _plain(part)
    return raw
