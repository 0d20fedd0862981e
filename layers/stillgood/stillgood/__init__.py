"""Is the model still good? Predict, monitor, train and promote, as functions over DataFrames
(``stillgood/notebook.py``).

Importing this imports nothing: each name is looked up on first use, because a cold start of predict must not load
pandas.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillgood.notebook import (
        Drafted as Drafted,
    )
    from stillgood.notebook import (
        Trained as Trained,
    )
    from stillgood.notebook import (
        champion as champion,
    )
    from stillgood.notebook import (
        contract as contract,
    )
    from stillgood.notebook import (
        decisions as decisions,
    )
    from stillgood.notebook import (
        draft as draft,
    )
    from stillgood.notebook import (
        drift as drift,
    )
    from stillgood.notebook import (
        explain as explain,
    )
    from stillgood.notebook import (
        gate as gate,
    )
    from stillgood.notebook import (
        monitor as monitor,
    )
    from stillgood.notebook import (
        predict as predict,
    )
    from stillgood.notebook import (
        promote as promote,
    )
    from stillgood.notebook import (
        rehearse as rehearse,
    )
    from stillgood.notebook import (
        rollback as rollback,
    )
    from stillgood.notebook import (
        status as status,
    )
    from stillgood.notebook import (
        train as train,
    )

__all__ = [
    "Drafted",
    "Trained",
    "champion",
    "contract",
    "decisions",
    "draft",
    "drift",
    "explain",
    "gate",
    "monitor",
    "predict",
    "promote",
    "rehearse",
    "rollback",
    "status",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from stillgood import notebook

    return getattr(notebook, name)


def __dir__() -> "list[str]":  # quoted: an older Python has to read this, to be told that it is one
    return sorted([*globals(), *__all__])
