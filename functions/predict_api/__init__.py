"""The HTTPS API: a picture of a handwritten digit in, the digit and an honest confidence out."""

from functions.predict_api import imports  # noqa: F401  # before anything else imports FastAPI
