"""The large imports of a cold start, in the way that takes least.

pydantic makes a model's validators with its class, unless the configuration defers that to the first use. FastAPI's
models of OpenAPI documents are many: most of them would take a tenth of a cold start, and no prediction needs them.
They have no setting of their own, so it is in the defaults that they inherit while they are imported; no other thread
may define models then.

Python looks for garbage whenever enough has been made. These imports make hardly any, and what they make stays: looking
through it would take some of a cold start, and some of each later collection.
"""

from __future__ import annotations

import gc

from pydantic import BaseModel

_collects = gc.isenabled()
gc.disable()
try:
    BaseModel.model_config["defer_build"] = True
    try:
        import fastapi  # noqa: F401
    finally:
        del BaseModel.model_config["defer_build"]
    import digits.reading
    import digits.registry.live  # noqa: F401
finally:
    gc.freeze()
    if _collects:
        gc.enable()
