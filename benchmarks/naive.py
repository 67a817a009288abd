"""The endpoint that one writes first, torch in a route, once a request: `python -m benchmarks.naive PORT BUNDLE`."""

import sys

from reid import threads

threads.configure()

import uvicorn
from fastapi import FastAPI, UploadFile

from reid.predictors import Embedder

embedder = Embedder.load(sys.argv[2], "cpu")
app = FastAPI()


@app.post("/embed")
async def embed(file: UploadFile) -> list[float]:
    """One image, one run of the model."""
    row: list[float] = embedder.embed([await file.read()])[0].tolist()
    return row


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
