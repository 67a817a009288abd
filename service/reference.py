"""The page at `/docs`: the OpenAPI description as plain HTML. It loads nothing, from here or elsewhere."""

import json
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse

_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.4 ui-monospace, monospace } pre { overflow: auto; padding: .5rem; background: #8881 }
section { border-top: 1px solid #8888; padding: .5rem 0 } td, th { text-align: left; padding-right: 1rem }
:root { color-scheme: light dark }"""


def install(app: FastAPI) -> None:
    """Serve the page."""

    async def page(_: Request) -> HTMLResponse:
        return HTMLResponse(render(app.openapi()), headers=_HEADERS)

    app.add_route("/docs", page, include_in_schema=False)


def render(description: dict[str, Any]) -> str:
    """The whole page: every operation, then every schema that they refer to."""
    info = description["info"]
    operations = [
        _operation(method, path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = [
        f'<section id="{escape(name)}"><h3>{escape(name)}</h3>{_json(schema)}</section>'
        for name, schema in sorted(description["components"]["schemas"].items())
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['summary'])} For programs: <a href='/openapi.json'>openapi.json</a>.</p>"
        f"<h2>Routes</h2>{''.join(operations)}<h2>Schemas</h2>{''.join(schemas)}</html>\n"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    bodies = operation.get("requestBody", {}).get("content", {})
    parts = [
        f"<section><h3><code>{method.upper()} {escape(path)}</code></h3>",
        *(f"<p>{escape(paragraph)}</p>" for paragraph in operation["description"].split("\n\n")),
        _parameters(operation.get("parameters", [])),
        *(f"<h4>Body: {escape(kind)}</h4>{_json(content['schema'])}" for kind, content in bodies.items()),
        *(_answer(status, answer) for status, answer in operation["responses"].items()),
        "</section>",
    ]
    return "".join(parts)


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = [
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{escape(one.get('description', ''))}"
        for one in parameters
    ]
    return f"<table><tr><th>parameter<th>in<th>meaning{''.join(rows)}</table>" if rows else ""


def _answer(status: str, answer: dict[str, Any]) -> str:
    kinds = [kind + _reference(content.get("schema", {})) for kind, content in answer.get("content", {}).items()]
    return f"<p><code>{escape(status)}</code> {escape(answer['description'])}: {', '.join(kinds) or 'no body'}</p>"


def _reference(schema: dict[str, Any]) -> str:
    name = escape(schema.get("$ref", "").rpartition("/")[2])
    return f' <a href="#{name}">{name}</a>' if name else ""


def _json(schema: dict[str, Any]) -> str:
    return f"{_reference(schema)}<pre>{escape(json.dumps(schema, indent=1, ensure_ascii=False))}</pre>"
