"""The OpenAPI page: one place for problems, the key, and the schemas of bodies that routes read themselves."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from service.auth import RULES, Rule
from service.bodies import FILE_FIELD
from service.examples import add_examples
from service.fields import MAX_IMAGES
from service.keys import HEADER
from service.problems import MEDIA_TYPE
from service.sessions import COOKIE

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id", "errors"],
}
_PROBLEM_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "What was wrong with the request", "content": _PROBLEM_CONTENT},
    "5XX": {"description": "503 and 504: not now, see `Retry-After`", "content": _PROBLEM_CONTENT},
}
PENDING: dict[int | str, dict[str, Any]] = {
    202: {"description": "Erased, but not all of it is gone from the disk yet: it will be, see `pending`"}
}

BACKGROUND: dict[int | str, dict[str, Any]] = {
    202: {"description": "Begun in the background; `Location` names the job"}
}


def image_body(json_model: type[BaseModel], texts: dict[str, str]) -> dict[str, Any]:
    """The OpenAPI request body of a route that takes images in either form; `texts` describes its text fields."""
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": MAX_IMAGES}
    fields = {name: {"type": "string", "description": meaning} for name, meaning in texts.items()}
    multipart = {"type": "object", "properties": {FILE_FIELD: files, **fields}, "additionalProperties": False}
    content = {
        "application/json": {"schema": json_model.model_json_schema(ref_template="#/components/schemas/{model}")},
        "multipart/form-data": {"schema": multipart},
    }
    return {"requestBody": {"required": True, "content": content}}


def clip_body(texts: dict[str, str]) -> dict[str, Any]:
    """The OpenAPI request body of a route that takes one clip; `texts` describes its text fields."""
    fields = {name: {"type": "string", "description": meaning} for name, meaning in texts.items()}
    properties = {FILE_FIELD: {"type": "string", "format": "binary"}, **fields}
    multipart = {
        "type": "object",
        "properties": properties,
        "required": [FILE_FIELD],
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": multipart}}}}


def install(app: FastAPI) -> None:
    """Complete the description that FastAPI makes."""
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(made_by_fastapi())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _complete(description: dict[str, Any]) -> None:
    components = description.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    components["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": HEADER},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            _lift_definitions(operation, schemas)
            rule = RULES.get((method.upper(), path))
            if rule is not None:
                operation["security"] = [{"key": []}, {"session": []}]
                operation["description"] += f"\n\nNeeds {_needed(rule)}."
    add_examples(description)


def _needed(rule: Rule) -> str:
    scope = "a key" if rule.scope is None else f"the scope `{rule.scope}`"
    return scope if rule.limited else f"{scope}, of a key for all cameras"


def _lift_definitions(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Move the definitions inside a body's schema to where its references point."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schemas.update(content["schema"].pop("$defs", {}))
