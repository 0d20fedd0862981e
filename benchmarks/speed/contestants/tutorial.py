"""The tutorial way: a pickled scikit-learn pipeline from S3, a data frame for each row. No validation, no reasons, no
capture.
"""

import json
import os

import boto3
import joblib
import pandas as pd

boto3.client("s3").download_file(os.environ["STILLGOOD_BUCKET"], "tutorial/model.joblib", os.environ["MODEL_FILE"])
model = joblib.load(os.environ["MODEL_FILE"])


def handler(event, context):
    row = pd.DataFrame([json.loads(event["body"])])
    probability = float(model.predict_proba(row)[0, 1])
    return {"statusCode": 200, "body": json.dumps({"probability": probability, "decision": probability >= 0.5})}
