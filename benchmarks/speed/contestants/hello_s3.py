"""A hello world that does what predict has to: fetches a pointer and a model from S3, once, and puts a record there per
request.

By boto3, which Lambda brings, as the tutorials do; or with CLIENT=obstore by the client of the predict package.
"""

import json
import os
import uuid

from fastapi import FastAPI, Request
from mangum import Mangum

bucket, endpoint = os.environ["STILLGOOD_BUCKET"], os.environ.get("AWS_ENDPOINT_URL")

if os.environ.get("CLIENT") == "obstore":
    from obstore.store import S3Store

    s3 = S3Store(bucket, endpoint=endpoint, virtual_hosted_style_request=False, client_options={"allow_http": True})

    def get(key: str) -> bytes:
        return bytes(s3.get(key).bytes())

    def put(key: str, data: bytes) -> None:
        s3.put(key, data, use_multipart=False)

else:
    import boto3

    client = boto3.client("s3", endpoint_url=endpoint)

    def get(key: str) -> bytes:
        return client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def put(key: str, data: bytes) -> None:
        client.put_object(Bucket=bucket, Key=key, Body=data)


pointer = json.loads(get("registry/production_metrics.json"))
model = json.loads(get(pointer["model_key"]))
app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> dict[str, str]:
    answer = {"hello": "world", "model": model["version"]}
    put(f"hello/{uuid.uuid4()}.json", json.dumps({"asked": await request.json(), "answered": answer}).encode())
    return answer


handler = Mangum(app, lifespan="off")
