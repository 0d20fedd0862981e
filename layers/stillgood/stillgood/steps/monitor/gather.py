"""What the monitor gathers before it decides: the champion, its reference, the window's captures, and what there is to
learn from.
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from stillgood.domain.contract.contract import Contract
from stillgood.domain.drift.detect import detect_drift
from stillgood.domain.drift.performance import estimate_performance
from stillgood.domain.drift.profile import Profile, Reference
from stillgood.domain.errors import ContractInvalid, DocumentUnusable, InvalidEvent, ObjectNotFound
from stillgood.domain.model.model import Model
from stillgood.domain.outcomes.evidence import LabelledRows
from stillgood.domain.policy.acted import ACTED
from stillgood.domain.policy.evidence import Evidence, Policy
from stillgood.domain.policy.refusals import broken_upstream
from stillgood.domain.policy.senders import Usual
from stillgood.domain.policy.spans import pool_begins
from stillgood.domain.policy.state import MonitorState
from stillgood.domain.promotion.decision import Pointer
from stillgood.steps.monitor.captures import profile_window
from stillgood.steps.monitor.outcomes import Outcomes, outcomes
from stillgood.steps.monitor.sample import KeptLines, senders
from stillgood.storage.artifacts import dates_of
from stillgood.storage.champion import load_model
from stillgood.storage.contract import contract_in_force
from stillgood.storage.objects import ObjectStore
from stillgood.storage.references import read_reference
from stillgood.storage.registry import Registry
from stillgood.storage.settings import effective
from stillgood.storage.training_data import LabelledData, labelled_data, sources_of
from stillgood.storage.windows import Window, utc


@dataclass(frozen=True, slots=True)
class WindowInputs:
    """Everything read for one window. ``season`` is the same phase one period before, if the contract has a period and
    it was busy enough. ``kept``: lines of the window's captures, thinned out, that its profile was made from.
    ``learnt_rows`` and ``learnt_until``: how many rows the champion's weights were learnt from, and when the newest
    was true.
    ``pooled_since``: ``profile`` has all rows since then, and ``own`` the window's; None where they are the same.
    ``usual``: what each caller usually sends, this window included, and who is left out; ``profile`` is without those.
    """

    pointer: Pointer
    contract: Contract
    reference: Reference
    window: Window
    profile: Profile
    season: tuple[Window, Profile] | None
    data: LabelledData
    outcomes: Outcomes
    learnt_rows: int
    learnt_until: datetime
    kept: KeptLines = field(default_factory=KeptLines)
    pooled_since: datetime | None = None
    own: Profile | None = None
    usual: Usual = field(default_factory=Usual)

    def weighed(self, store: ObjectStore, state: MonitorState, settled: datetime) -> "WindowInputs":
        """Without the rows of callers that jumped; as it is where no more than one is known.

        Raises StoreUnavailable, DocumentUnusable.
        """
        try:
            usual = Usual.from_dict(state.point.get("callers", {}))
        except (KeyError, TypeError, ValueError) as error:
            raise DocumentUnusable(f"The monitor's state of who calls is malformed ({error}).") from error
        if self._late(state) or not self.profile.callers:
            return replace(self, usual=usual)
        version = self.pointer.version
        sent = senders(store, version, self.window, self.kept, settled=settled)
        before = usual if state.version == version else usual.of_another_model()
        usual = before.weighed(sent, self.contract.labels.vouched_sources, self.window.end)
        if not set(usual.left) & set(sent):
            return replace(self, usual=usual)
        rest = profile_window(
            store, self.contract, self.reference, self.window, settled=settled, without=set(usual.left)
        )
        return replace(self, profile=rest, own=self.profile, usual=usual)

    def pooled(self, store: ObjectStore, state: MonitorState, settled: datetime) -> "WindowInputs":
        """With the rows of the small windows before it, which were too few to be judged, where these are too few, too.

        ``settled``: captures made before it have arrived. Raises StoreUnavailable.
        """
        since = pool_begins(self.window.id, self.pointer.version, state)
        if self._late(state) or since is None or self.profile.rows >= self.contract.monitoring.min_rows:
            return self
        before = Window(since, self.window.start)
        earlier = profile_window(
            store, self.contract, self.reference, before, settled=settled, without=set(self.usual.left)
        )
        own = self.own or self.profile
        return replace(self, profile=earlier + self.profile, own=own, season=None, pooled_since=since)

    def _late(self, state: MonitorState) -> bool:
        """Whether a later window has been decided already."""
        return state.last_window is not None and self.window.id < state.last_window

    def evidence(self, policy: Policy, state: MonitorState) -> Evidence:
        """What ``policy`` may look at, given what is remembered of the windows before."""
        seen, rules, heard = self.profile, self.contract.monitoring, self._heard(state)
        evidence = Evidence(
            window=self.window.id,
            at=self.window.end,
            version=self.pointer.version,
            rows=seen.rows,
            min_rows=rules.min_rows,
            refused=seen.refused,
            violations=seen.violations,
            repairs=seen.repairs,
            drift=detect_drift(
                self.reference,
                seen,
                policy.thresholds,
                standing=state.streaks_of(self.pointer.version),
                season=self.season[1] if self.season else None,
                accepted=[feature.name for feature in self.contract.features if feature.unseen == "accept"],
                units=self.contract.units,
            )
            if seen.rows >= rules.min_rows
            else None,
            new_labelled_rows=self.data.new_rows,
            data_sha256=self.data.sha256,
            realised=heard.realised,
            realised_recent=heard.recent,
            outcomes=heard.evidence,
            previous_gain=heard.previous_gain,
            labels=heard.labels,
            recall_floor=self.contract.floors_that_judge.recall,
            roc_auc_floor=self.contract.floors.roc_auc,
            learnt_rows=self.learnt_rows,
            weights=sum(max(len(feature.levels) - 1, 1) for feature in self.contract.features) + 1,
            unlearnt_rows=self.outcomes.evidence.labelled_since(self.learnt_until),
            late=self._late(state),
            pooled_since=self.pooled_since,
            callers=seen.callers,
            largest_refusal=seen.largest_refusal,
            left_out=tuple(self.usual.left.values()),
        )
        # Probabilities of rows that got past a broken upstream say nothing.
        if evidence.drift is None or broken_upstream(evidence, policy.violation_rate):
            return evidence
        return replace(evidence, estimated=estimate_performance(seen.scores))

    def _heard(self, state: MonitorState) -> Outcomes:
        """The outcomes by labels. If people were found to act although no contract says so, labels judge nothing."""
        heard, actions = self.outcomes, self.outcomes.evidence.actions
        acted = actions.acted or any(entry.get("name") == ACTED for entry in state.standing)
        if actions.declared or not acted:
            return heard
        none = LabelledRows.empty()
        evidence = replace(heard.evidence, rows=none, recent=none, actions=replace(actions, observed=False))
        return replace(heard, realised=None, recent=None, previous_gain=None, evidence=evidence)


def gather(store: ObjectStore, pointer: Pointer, window: Window, *, settled: datetime, now: datetime) -> WindowInputs:
    """Read what ``window`` is judged by, and write training rows of what labels came. ``settled``: captures made before
    it have arrived.

    Raises ModelUnusable, StoreUnavailable.
    """
    model = load_model(store, pointer)
    contract = contract_of(store, model)
    reference = read_reference(store, pointer)
    kept = KeptLines()
    profile = profile_window(store, contract, reference, window, settled=settled, kept=kept)
    heard = outcomes(store, contract, pointer, window, settled=settled, now=now)
    return WindowInputs(
        pointer=pointer,
        contract=contract,
        reference=reference,
        window=window,
        profile=profile,
        season=_season(store, contract, reference, window, settled),
        data=labelled_data(store, _known(store, pointer, model)),
        outcomes=heard,
        learnt_rows=int(model.training.get("rows", 0)),
        learnt_until=_learnt_until(store, pointer, model),
        kept=kept,
    )


def contract_of(store: ObjectStore, model: Model) -> Contract:
    """The model's contract, under the settings that were put in force since it was trained.

    A model that was trained by the contract in force needs none: whatever was said before is in it.
    """
    with suppress(InvalidEvent, ContractInvalid, ObjectNotFound):
        if contract_in_force(store).sha256 == model.contract.sha256:
            return model.contract
    return effective(store, model.contract, Registry(store).orders_now())


def _season(
    store: ObjectStore, contract: Contract, reference: Reference, window: Window, settled: datetime
) -> tuple[Window, Profile] | None:
    rules = contract.monitoring
    if rules.period_hours is None:
        return None
    shift = timedelta(seconds=round(rules.period_hours * 3600))
    before = Window(window.start - shift, window.end - shift)
    profile = profile_window(store, contract, reference, before, settled=settled)
    return (before, profile) if profile.rows >= rules.min_rows else None


def _known(store: ObjectStore, pointer: Pointer, model: Model) -> frozenset[str] | date:
    """The objects that the champion's weights were learnt from: what is not among them is news to them. Neither a
    rollback nor a recalibration makes them younger.

    Of a version from before they were written down, the day until which its rows reach, as its documents say: its
    metrics, or its name, which begins with that day, or when it was trained, or promoted.
    """
    version = _weights_of(model)
    if (known := sources_of(store, version)) is not None:
        return known
    dates = dates_of(store, version)
    for text in (dates.get("learnt_until"), version[:8], dates.get("trained")):
        with suppress(ValueError):
            return date.fromisoformat(str(text)[:10])
    return utc(pointer.promoted_at).date()


def _learnt_until(store: ObjectStore, pointer: Pointer, model: Model) -> datetime:
    """The time of the newest row that the champion's weights were learnt from: neither a rollback nor a recalibration
    makes them younger. Of a version that does not say, about then, by when it was promoted.
    """
    with suppress(KeyError, ValueError):
        return utc(dates_of(store, _weights_of(model))["learnt_until"])
    return utc(pointer.promoted_at) - timedelta(days=model.contract.label_maturity_days)


def _weights_of(model: Model) -> str:
    """The version that learnt the weights, which a recalibration keeps."""
    return str(model.training.get("recalibrates", model.version))
