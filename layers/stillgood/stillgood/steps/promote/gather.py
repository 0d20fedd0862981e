"""What promote gathers before the gate decides: both models, verified, and their scores of the candidate's holdout."""

from dataclasses import dataclass

from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reread import read_as
from stillgood.domain.errors import ModelUnusable, UnknownVersion
from stillgood.domain.model.model import Model
from stillgood.domain.model.slices import segments
from stillgood.domain.model.vectorised import logits, probabilities
from stillgood.domain.promotion.comparison import HoldoutScores
from stillgood.domain.promotion.decision import Pointer
from stillgood.domain.promotion.gate import GateInputs
from stillgood.domain.promotion.holdout import Holdout
from stillgood.storage.artifacts import read_artifact
from stillgood.storage.champion import load_model, read_model
from stillgood.storage.codec import decode, decode_any, sha256
from stillgood.storage.keys import HOLDOUT, METRICS, MODEL, artifact_key
from stillgood.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class PromotionInputs:
    """Verified artifacts. ``champion`` is None when nothing serves."""

    candidate: Model
    champion: Model | None
    holdout: Holdout

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
    store: ObjectStore, version: str, champion: Pointer | None, inputs: dict[str, dict[str, str]]
) -> PromotionInputs:
    """Read and verify; every object that was read goes into ``inputs`` with its sha256, also when a later one fails.

    Raises UnknownVersion when there is no such version, ModelUnusable, StoreUnavailable.
    """
    # A version's model is written last, so that without it there is no version, whatever else there may be of one.
    data = read_artifact(store, version, MODEL)
    inputs["candidate"] = {"key": artifact_key(version, MODEL), "sha256": sha256(data)}
    candidate = read_model(data, artifact_key(version, MODEL), version)
    stated = decode_any(_read(store, version, METRICS, "metrics", inputs), what=artifact_key(version, METRICS)).get(
        "model_sha256"
    )
    if stated != inputs["candidate"]["sha256"]:
        raise ModelUnusable(
            f"{artifact_key(version, MODEL)} is not what was trained: its sha256 is {inputs['candidate']['sha256'][:12]}..., trained {str(stated)[:12]}..."
        )
    key = artifact_key(version, HOLDOUT)
    raw = decode(_read(store, version, HOLDOUT, "holdout", inputs), format="stillgood.holdout", what=key)
    try:
        holdout = Holdout.from_dict(candidate.contract, raw)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        raise ModelUnusable(f"{key} is malformed ({type(error).__name__}: {error}).") from error
    serving = None
    if champion is not None:
        serving = load_model(store, champion)
        inputs["champion"] = {"key": champion.model_key, "sha256": champion.model_sha256}
    return PromotionInputs(candidate, serving, holdout)


def _read(store: ObjectStore, version: str, name: str, role: str, inputs: dict[str, dict[str, str]]) -> bytes:
    try:
        data = read_artifact(store, version, name)
    except UnknownVersion as error:
        raise ModelUnusable(f"{artifact_key(version, name)} is missing; train the version again.") from error
    inputs[role] = {"key": artifact_key(version, name), "sha256": sha256(data)}
    return data


def _scored(model: Model, frame: Frame) -> HoldoutScores:
    """Scores by a model whose contract may be another than the frame's: it reads its own columns of the same rows."""
    own = read_as(model.contract, frame, model.version)
    values = logits(model, own)
    return HoldoutScores(model.version, values, probabilities(model, values), model.threshold_logit)
