"""The HTTPS API: a picture of a handwritten digit in, the digit and an honest confidence out."""

from functions.predict_api import framework  # noqa: F401  # before anything else imports FastAPI
