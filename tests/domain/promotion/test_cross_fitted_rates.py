"""How often the second gate errs, on seeded worlds the size of Telco: 1,400 rows, 27% positive, ROC-AUC about .845.

Both models' weights are off by the sampling error of 2,800 rows; thresholds stand where 2,800 rows of their own put
them.
"""

import numpy as np
import pytest
from stillgood.domain.contract.contract import Floors, Objective
from stillgood.domain.model.evaluation import roc_auc, threshold_for_recall
from stillgood.domain.promotion.comparison import HoldoutScores
from stillgood.domain.promotion.cross_fitted import CrossFitted
from stillgood.domain.promotion.gate import decide_cross_fitted

FLOORS = Floors(roc_auc=0.8, recall=0.8, precision=0.4)
WEIGHTS = np.array([1.0, 0.8, 0.6, 0.57, 0.45, 0.4, 0.35, 0.3, 0.2, 0.2, 0.1, 0.1])
BASELINE = -1.5
REPEATS = 150


def weaker(kept):
    """The truth with the fourth weight cut down to this part: 0 costs .020 ROC-AUC, .3 costs .010."""
    return np.where(np.arange(12) == 3, kept * WEIGHTS, WEIGHTS)


def world(rng, customers, each=1):
    """A customer's rows are alike but for small changes, and so is the outcome."""
    who = np.repeat(np.arange(customers), each)
    features = rng.normal(size=(customers, 12))[who] + 0.05 * rng.normal(size=(len(who), 12)) * (each > 1)
    y = (rng.random(customers) < 1 / (1 + np.exp(-BASELINE - features[::each] @ WEIGHTS)))[who]
    return features, y, who.astype(np.uint64)


def learnt(rng, version, truth, lowered=0.0):
    weights = np.where(truth == 0.0, 0.0, truth + rng.normal(scale=0.05, size=12))
    features, y, _ = world(rng, 2800)
    threshold = threshold_for_recall(features @ weights + BASELINE, y, 0.8) - lowered

    # Weights that leave a fifth of the rows out differ from all rows' by sqrt(5) / 4 of the sampling error.
    folds = weights + rng.normal(scale=0.05 * np.sqrt(5) / 4, size=(5, 12))

    def score(features):
        logits = features @ weights + BASELINE
        return HoldoutScores(version, logits, 1 / (1 + np.exp(-logits)), threshold), (features @ folds.T).T

    return score


def promoted(seed, *, champion=WEIGHTS, candidate=WEIGHTS, lowered=0.0, each=1, tries=1, repeats=REPEATS, worse=False):
    """The share of repeats in which one of ``tries`` candidates replaces the champion; rows are added up between
    tries. ``worse``: only where it ranks no better on 60,000 rows of the truth.
    """
    rng = np.random.default_rng(seed)
    truth, outcomes, _ = world(np.random.default_rng(0), 60_000)

    def rank(score):
        return roc_auc(score(truth)[0].logits, outcomes)

    promotions = 0
    for _ in range(repeats):
        serving = learnt(rng, "champion", champion)
        features, y, who = world(rng, 1400 * tries // each if tries > 1 else 1400 // each, each)
        for earlier in range(tries):
            rows = slice(max(0, 1400 * (earlier + 1) - 3000), 1400 * (earlier + 1)) if tries > 1 else slice(None)
            attempt = learnt(rng, "candidate", candidate, lowered)
            scores, fold_logits = attempt(features[rows])
            held, held_folds = serving(features[rows])
            case = CrossFitted(
                scores,
                held,
                y[rows],
                who[rows],
                FLOORS,
                Objective("recall", 0.8),
                attempts=earlier,
                fold_logits=fold_logits,
                champion_fold_logits=held_folds,
            )
            if decide_cross_fitted(case).promote:
                promotions += not worse or rank(attempt) <= rank(serving)
                break
    return promotions / repeats


def test_the_world_is_the_one_that_was_promised():
    features, y, _ = world(np.random.default_rng(1), 200_000)
    assert roc_auc(features @ WEIGHTS, y) == pytest.approx(0.845, abs=0.01)
    for kept, loss in ((0.0, 0.020), (0.3, 0.010)):
        assert roc_auc(features @ WEIGHTS, y) - roc_auc(features @ weaker(kept), y) == pytest.approx(loss, abs=0.002)


# A bound is the promise and three standard deviations of 150 repeats.
@pytest.mark.parametrize("each", [1, 4, 12])
def test_an_equal_model_is_promoted_in_one_of_twenty_attempts_also_when_customers_return(each):
    assert promoted(each, each=each) <= 0.05 + 0.053


def test_one_of_twenty_candidates_that_is_no_better_replaces_a_champion_in_one_of_ten_tenures():
    """Candidates of equal rows differ by luck, and the best of twenty is often truly better; that is no error."""
    assert promoted(5, tries=20, repeats=40, worse=True) <= 0.10 + 0.14


@pytest.mark.parametrize("lowered", [0.3, 0.6])
def test_a_recall_gamed_model_is_promoted_in_at_most_three_of_a_hundred(lowered):
    assert promoted(3, lowered=lowered) <= 0.03 + 0.04


@pytest.mark.parametrize(("kept", "rate"), [(0.0, 0.9), (0.3, 0.6)])
def test_a_truly_better_model_is_promoted(kept, rate):
    """.7 is asked of +.010, and missed in this world (.57 of 750; docs/decisions/0071); Telco's rows give .80 of
    +.008.
    """
    assert promoted(4, champion=weaker(kept)) >= rate - 0.1
