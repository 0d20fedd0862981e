"""What the three rivals of monitor share: the captured rows and the reference as data frames."""

import io
import os

import pandas as pd

BOOLEANS = ("female", "senior_citizen", "partner", "dependents", "phone_service", "paperless_billing")
NUMBERS = ("tenure", "monthly_charges", "total_charges")


def reference():
    return pd.read_csv(os.environ["REFERENCE"], dtype=dict.fromkeys((*BOOLEANS, *NUMBERS), float))


def captured(data: "bytes | None" = None):
    source = os.environ["CAPTURED"] if data is None else io.BytesIO(data)
    frame = pd.read_json(source, lines=True)
    features = pd.DataFrame(frame["features"].tolist())
    features["score"] = frame["score"]
    return features
