"""The framework's floor: FastAPI and Mangum with one constant route."""

from __future__ import annotations

from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.post("/v1/predict")
async def predict() -> dict[str, int]:
    """Answer every request alike."""
    return {"pred": 7}


handler = Mangum(app, lifespan="off")
