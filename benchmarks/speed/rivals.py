"""What a Lambda would hold without this project: the same pipeline by scikit-learn, pickled or as an MLflow model."""

import io
import logging
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.speed.packages import CONTESTANTS, built, vendored
from benchmarks.speed.world import typed
from local.datasets import contract, telco

TUTORIAL = ("boto3", "joblib", "pandas", "scikit-learn")
PYFUNC = ("mlflow-skinny", "pandas", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Rival:
    """A handler module and the ``sys.path`` that holds it and all it needs."""

    module: str
    path: list[str]


def hello() -> Rival:
    """With the very FastAPI, Mangum, obstore and byte code of the predict package, and the boto3 of the runtime."""
    runtime = vendored("runtime", ["boto3"], compiled=True)
    return Rival("hello_s3", [str(CONTESTANTS), built("predict")[0], str(runtime)])


def tutorial(*, compiled: bool) -> Rival:
    return Rival("tutorial", [str(CONTESTANTS), str(vendored("tutorial", TUTORIAL, compiled=compiled))])


def pyfunc(*, compiled: bool) -> Rival:
    return Rival("pyfunc", [str(CONTESTANTS), str(vendored("pyfunc", PYFUNC, compiled=compiled))])


def pipeline() -> Pipeline:
    """One-hot levels, standardised numbers, a balanced logistic regression: what the tutorials teach."""
    features = contract("telco").features
    categories = [feature.name for feature in features if feature.kind == "categorical"]
    numbers = [feature.name for feature in features if feature.kind != "categorical"]
    columns = ColumnTransformer(
        [("levels", OneHotEncoder(handle_unknown="ignore"), categories), ("numbers", StandardScaler(), numbers)]
    )
    return Pipeline([("columns", columns), ("model", LogisticRegression(class_weight="balanced", max_iter=1000))])


@cache
def fitted() -> Pipeline:
    rows = typed(telco()).fillna({"total_charges": 0.0})
    return pipeline().fit(_features(rows), (rows["churn"] == "Yes").astype(int))


def pickled() -> bytes:
    buffer = io.BytesIO()
    joblib.dump(fitted(), buffer)
    return buffer.getvalue()


def model_folder(place: Path) -> Path:
    """The pipeline as an MLflow model in the new folder ``place``."""
    import mlflow.sklearn

    logging.getLogger("mlflow").setLevel(logging.ERROR)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            fitted(), place, serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
        )
    return place


def _features(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[[feature.name for feature in contract("telco").features]]
