"""What is usually deployed: TensorFlow and a Keras model at module level, Pillow's resize, `model.predict`."""

from __future__ import annotations

import base64
import json
import os
from io import BytesIO
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

model = tf.keras.models.load_model(os.environ["MODEL"])


def handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Answer with the digit of the picture in `{"image": "<base64>"}`."""
    document = json.loads(event["body"])
    image = Image.open(BytesIO(base64.b64decode(document["image"]))).convert("L").resize((28, 28))
    probabilities = model.predict(np.asarray(image)[None], verbose=0)["probabilities"][0]
    digit = int(np.argmax(probabilities))
    return _answer({"pred": digit, "conf": float(probabilities[digit])})


def batch(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Answer with the digits of pixels, uint8 (n, 28, 28) in base64: `predict` and next to nothing else."""
    images = np.frombuffer(base64.b64decode(event["body"]), np.uint8).reshape(-1, 28, 28)
    return _answer(model.predict(images, batch_size=len(images), verbose=0)["probabilities"].argmax(axis=1).tolist())


def _answer(document: Any) -> dict[str, Any]:
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(document)}
