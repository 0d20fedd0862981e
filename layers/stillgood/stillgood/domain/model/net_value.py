"""What a model's decisions are worth in the contract's currency."""

from collections.abc import Mapping

from stillgood.domain.contract.contract import Costs
from stillgood.domain.model.evaluation import Metrics


def net_value(hits: int, flagged: int, rows: int, costs: Costs) -> float:
    """Value per 1,000 rows against making no offer: ``(miss * hits - offer * flagged) / rows * 1000``.

    Each of the ``flagged`` rows costs an offer; each of the ``hits`` among them saves the cost of a miss.

    >>> net_value(hits=30, flagged=50, rows=1000, costs=Costs(miss=500.0, offer=50.0))
    12500.0
    """
    return (costs.miss * hits - costs.offer * flagged) / rows * 1000


def value_report(costs: Costs | None, metrics: Mapping[str, Metrics]) -> dict[str, float] | None:
    """The net value per 1,000 rows of each model; None when the contract states no costs."""
    if costs is None:
        return None
    return {
        name: net_value(round(figures.precision.value * figures.flagged), figures.flagged, figures.rows, costs)
        for name, figures in metrics.items()
    }
