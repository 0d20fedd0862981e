"""MLflow's way: pyfunc over the same pipeline. The model lies on the local disk already, which favours it."""

import json
import os

import mlflow
import pandas as pd

model = mlflow.pyfunc.load_model(os.environ["MODEL_FOLDER"])


def handler(event, context):
    row = pd.DataFrame([json.loads(event["body"])])
    decision = int(model.predict(row)[0])
    return {"statusCode": 200, "body": json.dumps({"decision": decision})}
