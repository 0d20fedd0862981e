"""Batch by pandas and scikit-learn: the object from S3 into one data frame, predict_proba, and back. No validation, no
reasons for a refusal.
"""

import io
import os

import boto3
import joblib
import pandas as pd

BUCKET = os.environ["STILLGOOD_BUCKET"]


def handler(event, context):
    s3 = boto3.client("s3")
    model = joblib.load(io.BytesIO(s3.get_object(Bucket=BUCKET, Key="tutorial/model.joblib")["Body"].read()))
    data = io.BytesIO(s3.get_object(Bucket=BUCKET, Key=event["input"])["Body"].read())
    lines = event["input"].endswith(".jsonl")
    rows = pd.read_json(data, lines=True) if lines else pd.read_csv(data)
    rows["total_charges"] = rows["total_charges"].fillna(0)
    probability = model.predict_proba(rows)[:, 1]
    out = pd.DataFrame({"customer_id": rows["customer_id"], "probability": probability, "decision": probability >= 0.5})
    text = out.to_json(orient="records", lines=True) if lines else out.to_csv(index=False)
    s3.put_object(Bucket=BUCKET, Key="tutorial/out", Body=text.encode())
    return {"rows": len(out)}
