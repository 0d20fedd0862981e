"""One training in this new process: ``training.py ours|rival EVENT PATH...``; says what its parts took, in CPU seconds,
after all imports.

``fit`` begins with typed columns in memory and ends with a model, its decision threshold and its metrics. ``threshold``
is the search for the threshold alone, on scores that are there. ``whole`` is everything from CSV objects in S3 to
artifacts in S3.
"""

import importlib
import io
import json
import os
import sys
import time

sys.path[:0] = sys.argv[3:]
clock, parts = time.process_time, {}
event = json.loads(sys.argv[2])


def timed(name, module, attribute):
    """Have ``module.attribute`` add its time to ``parts``."""
    work = getattr(module, attribute)

    def call(*args, **named):
        start, wall = clock(), time.perf_counter()
        try:
            return work(*args, **named)
        finally:
            parts[name] = parts.get(name, 0.0) + clock() - start
            parts[f"{name}_wall"] = parts.get(f"{name}_wall", 0.0) + time.perf_counter() - wall

    setattr(module, attribute, call)


def ours():
    handler = importlib.import_module("app").handler
    if os.environ.get("MLFLOW_TRACKING_URI"):
        import mlflow

        mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"]).search_experiments()
    from stillgood.aws.invoke import LambdaInvoker
    from stillgood.steps.train import publish as candidate
    from stillgood.training import fit, memory

    LambdaInvoker.invoke = lambda self, step, event: None
    timed("fit", memory, "fit")
    timed("threshold", fit, "threshold_for_contract")
    timed("track", candidate, "track")
    return handler


def rival():
    import boto3
    import joblib
    import numpy as np
    import pandas as pd
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.compose import ColumnTransformer
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import brier_score_loss, f1_score, precision_score, recall_score, roc_auc_score
    from sklearn.model_selection import TunedThresholdClassifierCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    class Known(ClassifierMixin, BaseEstimator):
        """An estimator whose scores are its only feature: what is left of tuning is the search."""

        def fit(self, x, y):
            self.classes_ = np.array([0, 1])
            return self

        def predict_proba(self, x):
            return np.column_stack([1 - x[:, 0], x[:, 0]])

        def predict(self, x):
            return (x[:, 0] >= 0.5).astype(int)

    def handler(event, context):
        s3, bucket = boto3.client("s3"), os.environ["STILLGOOD_BUCKET"]
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="data/")["Contents"]
        rows = pd.concat(
            [pd.read_csv(io.BytesIO(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())) for entry in listed]
        )
        outcome = (rows.pop("churn") == "Yes").to_numpy(int)
        rows = rows.drop(columns="customer_id").fillna({"total_charges": 0.0})
        levels = [name for name in rows if rows[name].dtype.kind not in "biuf"]
        numbers = [name for name in rows if name not in levels]
        start = clock()
        columns = ColumnTransformer(
            [("levels", OneHotEncoder(handle_unknown="ignore"), levels), ("numbers", StandardScaler(), numbers)]
        )
        pipeline = Pipeline(
            [("columns", columns), ("model", LogisticRegression(class_weight="balanced", max_iter=1000))]
        )
        model = TunedThresholdClassifierCV(pipeline, scoring="f1", cv=5, random_state=0).fit(rows, outcome)
        # Metrics of the rows it was fitted on: cheaper than honest ones, which would take folds of their own.
        scores = model.predict_proba(rows)[:, 1]
        decided = scores >= model.best_threshold_
        figures = {
            "roc_auc": roc_auc_score(outcome, scores),
            "brier": brier_score_loss(outcome, scores),
            "recall": recall_score(outcome, decided),
            "precision": precision_score(outcome, decided),
            "f1": f1_score(outcome, decided),
        }
        parts["fit"] = clock() - start
        start = clock()
        known = Known().fit(scores[:, None], outcome)
        TunedThresholdClassifierCV(FrozenEstimator(known), scoring="f1", cv="prefit", refit=False).fit(
            scores[:, None], outcome
        )
        parts["threshold"] = clock() - start
        buffer = io.BytesIO()
        joblib.dump(model, buffer)
        s3.put_object(Bucket=bucket, Key="tutorial/trained.joblib", Body=buffer.getvalue())
        return {"result": "trained", "figures": figures}

    return handler


handler = ours() if sys.argv[1] == "ours" else rival()
start = clock()
answer = handler(event, None)
parts["whole"] = clock() - start
if sys.argv[1] != "ours":
    parts["whole"] -= parts["threshold"]  # it was searched twice, for the sake of measuring it alone
assert answer["result"] == "trained", answer
if "tracking" in answer and os.environ.get("MLFLOW_TRACKING_URI"):
    assert answer["tracking"]["error"] is None, answer["tracking"]
print(json.dumps({"parts": parts, "auc": answer["figures"]["roc_auc"]}))
