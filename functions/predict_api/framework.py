"""FastAPI, imported without what only the description of the API needs.

pydantic makes a model's validators with its class, unless the configuration defers that to the first use. FastAPI's
models of OpenAPI documents are many: they would take a tenth of a cold start, and no prediction uses them. There is no
setting for them, so it is in the defaults that they inherit while they are imported.
"""

from __future__ import annotations

from pydantic import BaseModel

BaseModel.model_config["defer_build"] = True
try:
    import fastapi  # noqa: F401
finally:
    del BaseModel.model_config["defer_build"]
