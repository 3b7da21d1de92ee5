"""The application's own description."""

from __future__ import annotations

import json
import re
from typing import Any

from digits.forms import MOST_FIELDS
from digits.pictures.images import MEDIA_TYPES
from functions.predict_api.app import app_from_environment
from functions.predict_api.inference_schemas import InferenceRequest
from functions.predict_api.request_schemas import (
    MAX_INSTANCES,
    MULTIPART_TYPE,
    FieldRequest,
    FormRequest,
    ImageRequest,
    InstancesRequest,
    PixelsRequest,
)
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.conftest import Handler


def test_openapi_describes_the_request_and_its_errors(handler: Handler) -> None:
    event = events.at(events.load("http_v2_health"), "/openapi.json")
    predict = events.body_of(handler(event))["paths"]["/v1/predict"]["post"]
    assert predict["requestBody"]["content"].keys() == {"application/json", MULTIPART_TYPE, *MEDIA_TYPES}
    assert predict["responses"].keys() >= {"200", "400", "401", "413", "415", "422", "503"}


def test_openapi_describes_reading_numbers_with_examples_that_are_read(handler: Handler) -> None:
    read = app_from_environment({}).openapi()["paths"]["/v1/read"]["post"]
    assert read["requestBody"]["content"].keys() == {"application/json", MULTIPART_TYPE, *MEDIA_TYPES}
    assert read["responses"].keys() >= {"200", "400", "401", "413", "415", "422", "503"}
    assert {parameter["name"] for parameter in read["parameters"]} >= {"length", "rows"}
    examples = read["requestBody"]["content"]["application/json"]["examples"]

    def answer(name: str) -> dict[str, Any]:
        document = examples[name]["value"]
        event = events.post(document | ({"token": EVENT_TOKEN} if "token" in document else {}))
        return events.body_of(handler(events.at(event, "/v1/read")))

    assert answer("number")["text"] == answer("envelope")["text"] == "70"
    assert answer("several")["readings"][0]["text"] == "70"
    assert {name: field["text"] for name, field in answer("form")["fields"].items()} == {"tens": "7", "ones": "0"}


def test_operations_have_short_names_and_bodies_named_schemas() -> None:
    document = app_from_environment({}).openapi()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert {"predict", "health", "model", "infer", "live", "ready"} <= set(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)?", name) for name in names)
    referred = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert referred <= document["components"]["schemas"].keys()
    for operation in operations:
        content = operation.get("requestBody", {}).get("content", {})
        for media_type in content.keys() & {"application/json", MULTIPART_TYPE}:
            schema = content[media_type]["schema"]
            assert all(each.keys() == {"$ref"} for each in schema.get("anyOf", [schema]))


def test_the_schemas_are_those_that_judge_the_requests() -> None:
    schemas = app_from_environment({}).openapi()["components"]["schemas"]
    for model in (ImageRequest, PixelsRequest, InstancesRequest, FormRequest, FieldRequest, InferenceRequest):
        assert schemas[model.__name__]["required"] == [
            name for name, field in model.model_fields.items() if field.is_required()
        ]
    assert schemas["InstancesRequest"]["properties"]["instances"]["maxItems"] == MAX_INSTANCES
    assert schemas["FormRequest"]["properties"]["fields"]["maxItems"] == MOST_FIELDS
    assert schemas["FormEnvelope"]["properties"]["params"] == {"$ref": "#/components/schemas/FormRequest"}
    assert schemas["Envelope"]["properties"]["params"]["oneOf"] == [
        {"$ref": f"#/components/schemas/{name}"} for name in ("ImageRequest", "PixelsRequest", "InstancesRequest")
    ]
