"""Examples for the OpenAPI page, made from the schemas: one value of each field, its own example where it has one."""

from typing import Any

_TEXTS = {"date-time": "2026-01-31T12:00:00+01:00", "binary": "…"}
_NUMBERS = {"integer": 1, "number": 0.5}


def add_examples(description: dict[str, Any]) -> None:
    """Put an example beside every JSON schema of a body or an answer that has none."""
    schemas = description["components"]["schemas"]
    for methods in description["paths"].values():
        for operation in methods.values():
            for parts in (operation.get("requestBody", {}), *operation["responses"].values()):
                content = parts.get("content", {}).get("application/json")
                if content is not None and "schema" in content:
                    content.setdefault("example", example(content["schema"], schemas))


def example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A value that fits `schema`; `schemas` are what it may refer to.

    >>> example({"type": "array", "items": {"type": "string", "examples": ["staff"]}}, {})
    ['staff']
    """
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for name in ("examples", "enum"):
        if name in schema:
            return schema[name][0]
    for name in ("const", "default"):
        if schema.get(name) is not None:
            return schema[name]
    for choices in (schema.get("anyOf"), schema.get("allOf")):
        if choices:
            return example(choices[0], schemas)
    return _of_type(schema, schemas)


def _of_type(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {})
        return {name: example(part, schemas) for name, part in fields.items()}
    if kind == "array":
        return [example(schema.get("items", {}), schemas)] * max(1, schema.get("minItems", 1))
    if kind == "string":
        return _TEXTS.get(schema.get("format", ""), "text")
    if kind == "boolean":
        return True
    return _NUMBERS.get(str(kind))
