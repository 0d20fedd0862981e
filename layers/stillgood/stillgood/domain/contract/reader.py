"""The strict reading of a contract: every error names the place (``features[2].minimum``) and the rule."""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeGuard, cast, get_args

from stillgood.domain.contract.contract import (
    CALENDAR_LEVELS,
    FORMAT,
    FORMAT_VERSION,
    Absent,
    Actions,
    BelowFloors,
    CallerRule,
    CaptureRule,
    CompleteUntil,
    Contract,
    Costs,
    Derive,
    Extra,
    Family,
    Feature,
    Floors,
    Kind,
    LabelRules,
    MayChange,
    MonitoringRules,
    Monotone,
    NegativeNumber,
    Objective,
    ObjectiveKind,
    PointMode,
    PointRules,
    PromotionRules,
    Source,
    Target,
    TrainingRules,
    Unseen,
)
from stillgood.domain.errors import ContractInvalid
from stillgood.domain.formats import current_format

_CENTURY_DAYS = 36_525  # longer spans lead before the first year there is


def read_contract(raw: object) -> Contract:
    """The contract in JSON data. Raises ContractInvalid, which names the place (``features[2].minimum``) and the
    rule.
    """
    top = _Reader.at("contract", raw)
    if current_format(top.raw.get("format")) != FORMAT:
        raise top.broken("format", f'must be "{FORMAT}"')
    if top.raw.get("format_version") != FORMAT_VERSION:
        raise top.broken("format_version", f"must be {FORMAT_VERSION}, the only one this library reads")
    actions = top.get("actions", None)
    contract = Contract(
        name=top.text("name"),
        version=top.text("version"),
        id_column=top.text("id", None),
        time_column=top.text("time", None),
        target=_target(top.part("target")),
        features=tuple(_feature(part) for part in top.parts("features")),
        floors=_floors(top.part("floors")),
        costs=_costs(top.part("costs")) if top.get("costs", None) is not None else None,
        slices=top.texts("slices"),
        training=_training(top.part("training")),
        monitoring=_monitoring(top.part("monitoring")),
        promotion=_promotion(top.part("promotion")),
        source=_source(top.part("source")) if top.get("source", None) is not None else None,
        labels=_labels(top.part("labels")),
        stated_objective=_objective(top.part("objective")) if top.get("objective", None) is not None else None,
        operating_point=_operating_point(top.part("operating_point")),
        actions=actions if actions in (None, "none") else _actions(top.part("actions")),
        extra=top.choice("extra", get_args(Extra), "refuse"),
        capture=top.choice("capture", get_args(CaptureRule), "best_effort"),
        callers=top.choice("callers", get_args(CallerRule), "named"),
        may_change=_may_change(top),
        units=top.mapping("units"),
    )
    top.text("$schema", None)  # for editors
    top.done("format", "format_version")
    _check_names(contract)
    _check_may_change(contract)
    _check_units(contract)
    return contract


_MISSING: Any = object()


class _Reader:
    """Reads one JSON object field by field and knows its place, so that every error can name it."""

    def __init__(self, path: str, raw: Mapping[str, Any]) -> None:
        self.path, self.raw, self.seen = path, raw, set[str]()

    @classmethod
    def at(cls, path: str, raw: object) -> "_Reader":
        if not isinstance(raw, Mapping):
            raise ContractInvalid(f"{path} must be a JSON object, not {type(raw).__name__}.", path=path)
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

    def character(self, name: str) -> Any:
        value = self.get(name, None)
        if value is not None and (not isinstance(value, str) or len(value) != 1):
            raise self.broken(name, "must be one character")
        return value

    def choice[T: str](self, name: str, choices: tuple[T, ...], default: Any = _MISSING) -> T:
        value = self.get(name, default)
        if value not in choices:
            raise self.broken(name, f"must be one of {', '.join(choices)}")
        return cast("T", value)

    def number(self, name: str, default: Any = _MISSING, low: float = -math.inf, high: float = math.inf) -> Any:
        value = self.get(name, default)
        if value is default:
            return value
        if not _is_number(value):
            raise self.broken(name, "must be a finite number")
        if not low <= value <= high:
            raise self.broken(name, f"must be within {low:g} and {high:g}")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise self.broken(name, "must be true or false")
        return value

    def texts(self, name: str, default: tuple[str, ...] = (), blank: bool = False) -> tuple[str, ...]:
        """A list of different texts; ``blank`` allows the empty one among them."""
        value = self.get(name, list(default))
        if not isinstance(value, list) or not all(
            isinstance(text, str) and (text or blank) and _is_text(text) for text in value
        ):
            raise self.broken(name, "must be a list of texts")
        if len(set(value)) != len(value):
            raise self.broken(name, "must not repeat a value")
        return tuple(value)

    def mapping(self, name: str) -> dict[str, str]:
        value = self.get(name, {})
        if not isinstance(value, Mapping) or not all(
            isinstance(text, str) and text and _is_text(text) for pair in value.items() for text in pair
        ):
            raise self.broken(name, "must be an object of texts")
        return dict(value)

    def part(self, name: str) -> "_Reader":
        place = name if self.path == "contract" else f"{self.path}.{name}"
        return _Reader.at(place, self.get(name, {}))

    def parts(self, name: str) -> Iterator["_Reader"]:
        value = self.get(name)
        if not isinstance(value, list) or not value:
            raise self.broken(name, "must be a list that is not empty")
        return (_Reader.at(f"{name}[{i}]", part) for i, part in enumerate(value))

    def done(self, *more: str) -> None:
        if unknown := sorted(set(self.raw) - self.seen - set(more)):
            raise self.broken(unknown[0], f"is not known here; known are {', '.join(sorted(self.seen))}")


def _may_change(top: _Reader) -> dict[str, MayChange]:
    allowed = top.mapping("may_change")
    if wrong := sorted(name for name, how in allowed.items() if how not in get_args(MayChange)):
        raise top.broken("may_change", f"says of {wrong[0]} what is none of {', '.join(get_args(MayChange))}")
    return cast("dict[str, MayChange]", allowed)


def _check_may_change(contract: Contract) -> None:
    kinds = {feature.name: feature.kind for feature in contract.features}
    for name, how in contract.may_change.items():
        if kinds.get(name) in (None, "date"):
            raise ContractInvalid(f"may_change names {name}, which is no feature, or a date.", path="may_change")
        if how != "any" and kinds[name] not in ("numeric", "integer"):
            raise ContractInvalid(f"may_change.{name} must be any: only a number has a direction.", path="may_change")


def _check_units(contract: Contract) -> None:
    numbers = {feature.name for feature in contract.features if feature.kind in ("numeric", "integer")}
    if wrong := sorted(set(contract.units) - numbers):
        raise ContractInvalid(f"units names {wrong[0]}, which is no number of the features.", path="units")


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
        family=part.choice("family", get_args(Family), standard.family),
        half_life_days=part.number("half_life_days", None, 0.01, _CENTURY_DAYS),
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


def _promotion(part: _Reader) -> PromotionRules:
    rules = PromotionRules(part.choice("below_floors", get_args(BelowFloors), "ask"))
    part.done()
    return rules


def _source(part: _Reader) -> Source:
    source = Source(
        delimiter=part.character("delimiter"),
        encoding=part.text("encoding", None),
        decimal_char=part.character("decimalChar"),
        group_char=part.character("groupChar"),
        missing_values=part.texts("missingValues", ("",), blank=True),
        true_values=part.texts("trueValues"),
        false_values=part.texts("falseValues"),
        bare_number=part.flag("bareNumber", True),
        date_format=part.text("dateFormat", None),
        time_zone=part.text("timeZone", None),
        negative_number=part.choice("negativeNumber", get_args(NegativeNumber), "minus"),
    )
    if source.decimal_char is not None and source.decimal_char == source.group_char:
        raise part.broken("groupChar", "must differ from decimalChar")
    if both := sorted(set(source.true_values) & set(source.false_values)):
        raise part.broken("falseValues", f"must not hold {both[0]!r}, which is in trueValues")
    part.done()
    return source


def _labels(part: _Reader) -> LabelRules:
    standard = LabelRules()
    rules = LabelRules(
        horizon_days=part.number("horizon_days", None, 0, _CENTURY_DAYS),
        maturity_days=part.number("maturity_days", None, 0, _CENTURY_DAYS),
        absent=part.choice("absent", get_args(Absent), standard.absent),
        complete_until=part.choice("complete_until", get_args(CompleteUntil), standard.complete_until),
        min_coverage=part.number("min_coverage", standard.min_coverage, 0, 1),
        vouched_sources=part.texts("vouched_sources"),
    )
    if rules.absent == "negative" and rules.horizon_days is None:
        raise part.broken(
            "horizon_days", "is required when absent is negative: silence means no only once it has passed"
        )
    part.done()
    return rules


def _objective(part: _Reader) -> Objective:
    if len(part.raw) != 1 or not part.raw.keys() <= set(get_args(ObjectiveKind)):
        part.seen.update(get_args(ObjectiveKind))
        part.done()
        raise ContractInvalid(
            f"{part.path} must have one of {', '.join(get_args(ObjectiveKind))}, and only one.", path=part.path
        )
    (kind,) = part.raw
    if kind != "cost":
        return Objective(cast(ObjectiveKind, kind), part.number(kind, low=0, high=1))
    if part.get("cost") is not True:
        raise part.broken("cost", "must be true; the prices are in costs")
    return Objective("cost")


def _operating_point(part: _Reader) -> PointRules:
    standard = PointRules()
    rules = PointRules(
        mode=part.choice("mode", get_args(PointMode), standard.mode),
        min_flagged=part.number("min_flagged", standard.min_flagged, 0, 1),
        max_flagged=part.number("max_flagged", standard.max_flagged, 0, 1),
        margin=part.number("margin", standard.margin, 0, 1),
    )
    if rules.min_flagged > rules.max_flagged:
        raise part.broken("min_flagged", "must not be above max_flagged")
    part.done()
    return rules


def _actions(part: _Reader) -> Actions:
    actions = Actions(
        control_share=part.number("control_share", low=0, high=0.5),
        by=part.choice("by", ("entity",), "entity"),
        rotate_days=part.number("rotate_days", 90.0, 1, _CENTURY_DAYS),
        exempt=part.text("exempt", None),
    )
    part.done()
    return actions


def _feature(part: _Reader) -> Feature:
    kind = part.choice("kind", get_args(Kind))
    derive: Derive | None = part.choice("as", get_args(Derive)) if kind == "date" else None
    calendar = CALENDAR_LEVELS.get(derive or "", ())
    categorical, numeric = (
        kind == "categorical" or bool(calendar),
        kind in ("numeric", "integer") or derive == "days_before",
    )
    feature = Feature(
        name=part.text("name"),
        kind=kind,
        minimum=part.number("minimum", None) if numeric else None,
        maximum=part.number("maximum", None) if numeric else None,
        levels=part.texts("levels", calendar) if categorical else (),
        nullable=part.flag("nullable"),
        if_missing=part.get("if_missing", None),
        unseen=part.choice("unseen", get_args(Unseen), "refuse"),
        pii=part.flag("pii"),
        description=part.get("description", ""),
        example=part.get("example", None),
        aliases=part.mapping("aliases") if kind == "categorical" else {},
        monotone=part.choice("monotone", get_args(Monotone))
        if numeric and part.raw.get("monotone") is not None
        else None,
        derive=derive,
    )
    # Written by to_dict for every kind, empty where they mean nothing.
    for name in ("minimum", "maximum", "levels", "aliases", "monotone", "as"):
        if name not in part.seen and part.raw.get(name) not in (None, [], {}):
            raise part.broken(name, f"means nothing for a {kind} feature")
        part.seen.add(name)
    part.done()
    _check_feature(feature, part)
    return feature


def _check_feature(feature: Feature, part: _Reader) -> None:
    """What concerns more than one field of a feature."""
    if not isinstance(feature.description, str):
        raise part.broken("description", "must be a text")
    if feature.kind == "categorical" and not feature.levels:
        raise part.broken("levels", "must list the known values of a categorical feature")
    if feature.kind == "date" and feature.levels != CALENDAR_LEVELS.get(feature.derive or "", ()):
        raise part.broken("levels", f"are the calendar's for a date as {feature.derive}; leave them out")
    for alias, level in feature.aliases.items():
        if alias in feature.levels or level not in feature.levels:
            raise part.broken(
                "aliases", f"must lead from a text that is no level to a level; {alias!r} to {level!r} does not"
            )
    if feature.minimum is not None and feature.maximum is not None and feature.minimum > feature.maximum:
        raise part.broken("minimum", "must not be above maximum")
    for name, value in (("if_missing", feature.if_missing), ("example", feature.example)):
        if value is not None and not _fits(feature, value, example=name == "example"):
            raise part.broken(name, "must itself obey the feature's rules")


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


def _fits(feature: Feature, value: object, example: bool) -> bool:
    if feature.kind == "date" and example:
        return isinstance(value, str) and _is_date(value)
    if feature.categorical:
        return isinstance(value, str) and (value in feature.levels or feature.unseen == "accept")
    if feature.kind == "boolean":
        return value in (0, 1)
    if not _is_number(value):
        return False
    low, high = feature.minimum, feature.maximum
    whole = feature.kind != "integer" or float(value).is_integer()
    return whole and (low is None or value >= low) and (high is None or value <= high)


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _check_names(contract: Contract) -> None:
    names = [feature.name for feature in contract.features]
    columns = [
        *names,
        contract.target.name,
        *(column for column in (contract.id_column, contract.time_column) if column),
    ]
    for name in columns:
        if columns.count(name) > 1:
            raise ContractInvalid(f'features: "{name}" names two columns; every column has one role.', path="features")
    for feature in contract.features:
        if feature.derive == "days_before" and contract.time_column is None:
            place = f"features[{names.index(feature.name)}].as"
            raise ContractInvalid(f"{place} needs a time column, which says before when.", path=place)
    if contract.control is not None and contract.id_column is None:
        raise ContractInvalid("actions need an id column: a control group is drawn by entity.", path="actions")
    if contract.objective.kind == "cost" and contract.costs is None:
        raise ContractInvalid("objective.cost needs costs.", path="objective.cost")
    for i, name in enumerate(contract.slices):
        if name not in names or not (contract.feature(name).categorical or contract.feature(name).kind == "boolean"):
            raise ContractInvalid(f"slices[{i}] must name a categorical or boolean feature.", path=f"slices[{i}]")
