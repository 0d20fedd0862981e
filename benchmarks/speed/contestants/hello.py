"""The least that FastAPI and Mangum can do."""

from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.post("/predict")
async def predict() -> dict[str, str]:
    return {"hello": "world"}


handler = Mangum(app, lifespan="off")
