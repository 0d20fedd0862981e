"""What promote gathers before the gate decides: both models, verified, and their scores of the candidate's holdout."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stillgood.domain.contract.contract import Contract, Objective
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reread import read_as
from stillgood.domain.errors import ModelUnusable, TooFewRows, UnknownVersion
from stillgood.domain.model.evaluation import Metrics
from stillgood.domain.model.model import Model
from stillgood.domain.model.slices import segments
from stillgood.domain.model.vectorised import logits, probabilities
from stillgood.domain.promotion.by_source import LABEL_SOURCE, Largest, largest_unvouched
from stillgood.domain.promotion.comparison import HoldoutScores
from stillgood.domain.promotion.cross_fitted import CrossFitted
from stillgood.domain.promotion.decision import Pointer, PointRef
from stillgood.domain.promotion.folds import FoldModels, fold_of
from stillgood.domain.promotion.gate import GateInputs
from stillgood.domain.promotion.holdout import Holdout
from stillgood.storage.artifacts import read_artifact
from stillgood.storage.champion import load_model, read_model
from stillgood.storage.codec import decode, decode_any, sha256
from stillgood.storage.keys import FOLDS, HOLDOUT, METRICS, MODEL, artifact_key, point_key
from stillgood.storage.objects import ObjectStore
from stillgood.storage.points import served


@dataclass(frozen=True, slots=True)
class PromotionInputs:
    """Verified artifacts. ``champion`` is None when nothing serves."""

    candidate: Model
    champion: Model | None
    holdout: Holdout
    folds: FoldModels | None = None
    champion_folds: FoldModels | None = None

    def cross_fitted(self, attempts: int, promised: Metrics | None) -> CrossFitted:
        """Both models' scores of the holdout, each row by a model that had not seen it. Raises NotEnoughData."""
        contract, frame = self.candidate.contract, self.holdout.frame
        assert self.folds is not None
        assert self.holdout.entities is not None
        fold = fold_of(self.holdout.entities)
        champion = None
        if self.champion is not None:
            if self.folds.unseen and self.folds.against == self.champion.version:
                champion = _scored(self.champion, frame)
            elif self.champion_folds is not None:
                champion = _scored_by_folds(self.champion, self.champion_folds, frame, fold)
            else:
                raise TooFewRows(
                    f"{self.champion.version} may have learnt from the rows that would judge it; train a candidate anew"
                )
        return CrossFitted(
            candidate=_scored_by_folds(self.candidate, self.folds, frame, fold),
            champion=champion,
            y=self.holdout.target,
            # Without ids every row stands for itself, however alike rows are.
            clusters=self.holdout.entities if contract.id_column else np.arange(frame.n, dtype=np.uint64),
            floors=contract.floors_that_judge if self.folds.gate_version > 3 else contract.floors,
            objective=contract.objective if self.folds.gate_version > 3 else _objective_of_before(contract),
            costs=contract.costs,
            promised=promised,
            segments=segments(frame),
            attempts=attempts,
            fold_logits=self._said(self.candidate, self.folds) if self._judged_by_version(3) else None,
            champion_fold_logits=self._said(self.champion, self.champion_folds) if self._judged_by_version(4) else None,
            gate_version=self.folds.gate_version,
        )

    def _judged_by_version(self, least: int) -> bool:
        """Whether a champion is challenged, by this version of the gate's rules or a later one."""
        return self.champion is not None and self.folds is not None and self.folds.gate_version >= least

    def _said(self, model: Model | None, folds: FoldModels | None) -> npt.NDArray[np.float64] | None:
        """Logits float64[k, n] of each of a model's fold models for every row; None for a version without them."""
        if model is None or folds is None:
            return None
        own = read_as(model.contract, self.holdout.frame, model.version)
        return np.stack([logits(fold_model, own) for fold_model in folds.models])

    def largest_unvouched(self) -> Largest | None:
        """The largest source of the holdout's labels that nobody vouches for."""
        sources = (self.holdout.frame.other or {}).get(LABEL_SOURCE)
        return largest_unvouched(sources, self.candidate.contract.labels.vouched_sources)

    def judged_by(self, rows: npt.NDArray[np.bool_]) -> "PromotionInputs":
        """The same models, judged by some ``rows`` bool[n] of the holdout."""
        held = self.holdout
        entities = None if held.entities is None else held.entities[rows]
        return replace(self, holdout=Holdout(held.frame.take(rows), held.target[rows], entities))

    def case(self, attempts: int) -> GateInputs:
        """Both models' scores of the holdout, for the gate."""
        contract = self.candidate.contract
        return GateInputs(
            candidate=_scored(self.candidate, self.holdout.frame),
            champion=None if self.champion is None else _scored(self.champion, self.holdout.frame),
            y=self.holdout.target,
            floors=contract.floors,
            costs=contract.costs,
            segments=segments(self.holdout.frame),
            attempts=attempts,
        )


def gather(
    store: ObjectStore,
    version: str,
    champion: Pointer | None,
    inputs: dict[str, dict[str, str]],
    *,
    at_point: bool = True,
) -> PromotionInputs:
    """Read and verify; every object that was read goes into ``inputs`` with its sha256, also when a later one fails.

    The champion is judged as it serves, under its operating point; without ``at_point`` by its own calibration and
    threshold.

    Raises UnknownVersion when there is no such version, ModelUnusable, StoreUnavailable.
    """
    # A version's model is written last, so that without it there is no version, whatever else there may be of one.
    data = read_artifact(store, version, MODEL)
    inputs["candidate"] = {"key": artifact_key(version, MODEL), "sha256": sha256(data)}
    candidate = read_model(data, artifact_key(version, MODEL), version)
    stated = decode_any(_read(store, version, METRICS, "metrics", inputs), what=artifact_key(version, METRICS))
    if stated.get("model_sha256") != inputs["candidate"]["sha256"]:
        raise ModelUnusable(
            f"{artifact_key(version, MODEL)} is not what was trained: its sha256 is"
            f" {inputs['candidate']['sha256'][:12]}..., trained {str(stated.get('model_sha256'))[:12]}..."
        )
    key = artifact_key(version, HOLDOUT)
    raw = decode(_read(store, version, HOLDOUT, "holdout", inputs), format="stillgood.holdout", what=key)
    try:
        holdout = Holdout.from_dict(candidate.contract, raw)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        raise ModelUnusable(f"{key} is malformed ({type(error).__name__}: {error}).") from error
    folds = _folds(store, candidate, inputs, stated.get("folds_sha256"))
    serving, others = None, None
    if champion is not None:
        serving = load_model(store, champion)
        inputs["champion"] = {"key": champion.model_key, "sha256": champion.model_sha256}
        if at_point and champion.point is not None:
            serving = served(store, serving, champion.point)
            inputs["champion_point"] = {"key": point_key(champion.point.id), "sha256": champion.point.sha256}
        if folds is not None and (folds.gate_version > 3 or not folds.unseen or folds.against != champion.version):
            others = _champions_folds(store, serving, inputs)
    return PromotionInputs(candidate, serving, holdout, folds, others)


def recorded(store: ObjectStore, inputs: Mapping[str, Mapping[str, str]]) -> PromotionInputs:
    """What a decision was made from, by the ``inputs`` of its record, to look at again. Verifies no hash but a point's.

    Raises KeyError where the record names no candidate or no holdout, ObjectNotFound, ModelUnusable, StoreUnavailable.
    """

    def model(role: str) -> Model:
        key = inputs[role]["key"]
        return read_model(store.get(key).data, key, key.split("/")[1])

    def folds(role: str, of: Model | None) -> FoldModels | None:
        if role not in inputs or of is None:
            return None
        return _read_folds(store.get(inputs[role]["key"]).data, inputs[role]["key"], of)

    candidate = model("candidate")
    champion = model("champion") if "champion" in inputs else None
    if champion is not None and "champion_point" in inputs:
        point = inputs["champion_point"]
        ref = PointRef(point["key"].rpartition("/")[2].removesuffix(".json"), point["sha256"], 0)
        champion = served(store, champion, ref)
    key = inputs["holdout"]["key"]
    raw = decode(store.get(key).data, format="stillgood.holdout", what=key)
    holdout = Holdout.from_dict(candidate.contract, raw)
    return PromotionInputs(candidate, champion, holdout, folds("folds", candidate), folds("champion_folds", champion))


def _folds(
    store: ObjectStore, candidate: Model, inputs: dict[str, dict[str, str]], stated: object
) -> FoldModels | None:
    """The candidate's fold models; None for a version of before, which states none."""
    if stated is None:
        return None
    data = _read(store, candidate.version, FOLDS, "folds", inputs)
    key = artifact_key(candidate.version, FOLDS)
    if inputs["folds"]["sha256"] != stated:
        raise ModelUnusable(f"{key} is not what was trained; train the version again.")
    return _read_folds(data, key, candidate)


def _champions_folds(store: ObjectStore, champion: Model, inputs: dict[str, dict[str, str]]) -> FoldModels | None:
    try:
        data = read_artifact(store, champion.version, FOLDS)
    except UnknownVersion:
        return None
    key = artifact_key(champion.version, FOLDS)
    inputs["champion_folds"] = {"key": key, "sha256": sha256(data)}
    return _read_folds(data, key, champion)


def _read_folds(data: bytes, key: str, model: Model) -> FoldModels:
    raw = decode(data, format="stillgood.folds", what=key)
    try:
        folds = FoldModels.from_dict(model.contract, raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelUnusable(f"{key} is malformed ({type(error).__name__}: {error}).") from error
    if folds.version != model.version:
        raise ModelUnusable(f"{key} holds the fold models of {folds.version}.")
    return folds


def _read(store: ObjectStore, version: str, name: str, role: str, inputs: dict[str, dict[str, str]]) -> bytes:
    try:
        data = read_artifact(store, version, name)
    except UnknownVersion as error:
        raise ModelUnusable(f"{artifact_key(version, name)} is missing; train the version again.") from error
    inputs[role] = {"key": artifact_key(version, name), "sha256": sha256(data)}
    return data


def _scored_by_folds(model: Model, folds: FoldModels, frame: Frame, fold: npt.NDArray[np.int64]) -> HoldoutScores:
    """Each row by the fold model that had not seen its customer, calibrated and flagged as ``model`` does."""
    values = np.empty(frame.n)
    for number, fold_model in enumerate(folds.models):
        rows = fold == number
        values[rows] = _scored(fold_model, frame.take(rows)).logits
    return HoldoutScores(model.version, values, probabilities(model, values), model.threshold_logit)


def _objective_of_before(contract: Contract) -> Objective:
    """What versions of the gate before the fourth compared models at: costs alone did not make a cost the objective."""
    return contract.stated_objective or Objective("recall", contract.floors.recall)


def _scored(model: Model, frame: Frame) -> HoldoutScores:
    """Scores by a model whose contract may be another than the frame's: it reads its own columns of the same rows."""
    own = read_as(model.contract, frame, model.version)
    values = logits(model, own)
    return HoldoutScores(model.version, values, probabilities(model, values), model.threshold_logit)
