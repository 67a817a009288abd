"""The description: an example beside every body and answer, and each of them would be taken."""

import re

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from service.bodies import ImagesIn
from service.examples import example
from service.routes import ROUTERS
from service.schemas.classifiers import ClassifyIn
from service.schemas.search import SearchIn
from service.schemas.sightings import EnrolIn

BODIES = {
    "/v1/sightings": EnrolIn,
    "/v1/search": SearchIn,
    "/v1/embeddings": ImagesIn,
    "/v1/detections": ImagesIn,
    "/v1/classifiers/{name}": ClassifyIn,
}
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def test_every_json_has_an_example_that_its_own_schema_takes(shared_service):
    description = shared_service.get("/openapi.json")
    models = {}
    for route in ROUTES:
        (method,) = route.methods
        body = BODIES.get(route.path) if method == "POST" else None
        if body is None and route.body_field is not None:
            body = route.body_field.field_info.annotation
        models[method.lower(), route.path] = (body, route.response_model)
    seen = 0
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            body, answer = models[method, path]
            given = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if given is not None:
                TypeAdapter(body).validate_python(given["example"])
                seen += 1
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json")
                if content is not None and content.get("schema") and re.fullmatch("2..", status):
                    TypeAdapter(answer).validate_python(content["example"])
                    seen += 1
    assert seen > 30


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"$ref": "#/components/schemas/A"}, {"a": [True]}),
        ({"type": "string", "enum": ["x", "y"]}, "x"),
    ],
)
def test_an_example_follows_its_schema(schema, value):
    schemas = {"A": {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "boolean"}}}}}
    assert example(schema, schemas) == value
