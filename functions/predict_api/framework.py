"""FastAPI, imported without what only the description of the API needs.

pydantic makes a model's validators with its class, unless the configuration defers that to the first use. FastAPI's
models of OpenAPI documents are many: most of them would take a tenth of a cold start, and no prediction needs them.
They have no setting of their own, so it is in the defaults that they inherit while they are imported; no other thread
may define models then.
"""

from __future__ import annotations

from pydantic import BaseModel

BaseModel.model_config["defer_build"] = True
try:
    import fastapi  # noqa: F401
finally:
    del BaseModel.model_config["defer_build"]
