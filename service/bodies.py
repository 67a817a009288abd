"""Bodies that carry images: multipart or JSON in, bytes and plain values out."""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.fields import MAX_IMAGES, Base64, Strict
from service.problems import MediaTypeError, UnreadableBodyError

Model = TypeVar("Model", bound=BaseModel)

FILE_FIELD = "file"
_MOST_FIELDS = 200


class ImagesIn(Strict):
    """Images, as JSON."""

    images: Annotated[list[Base64], Field(min_length=1, max_length=MAX_IMAGES)]


@dataclass(frozen=True)
class Form:
    """A multipart body: its files, and its text fields with all the values each was given."""

    files: list[bytes] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)


class _MemoryParser(MultiPartParser):
    """Keeps files in memory: BodyLimit bounds them, and no person's image shall touch a temporary folder."""

    spool_max_size = 2**40

    def on_part_end(self) -> None:
        """Refuse a text that is not UTF-8: it would be read as Latin-1, and a name become another."""
        if self._current_part.file is None:
            try:
                self._current_part.data.decode()
            except UnicodeDecodeError as error:
                raise MultiPartException("got a text field that is not UTF-8") from error
            self._charset = "utf-8"
        super().on_part_end()

    def close(self) -> None:
        """Let go of all files, of those too that the body broke off in."""
        for file in self._files_to_close_on_error:
            file.close()


IMAGE_BODIES = ("application/json", "multipart/form-data")


def media_type(request: Request, *allowed: str) -> str:
    """What the body says it is; raises MediaTypeError unless that is one of the `allowed` types."""
    found = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if found not in allowed:
        raise MediaTypeError(f"expected {' or '.join(allowed)}, got {found[:80] or 'nothing'!r}")
    return found


async def read_json(request: Request) -> Any:
    """The body as JSON values; raises UnreadableBodyError."""
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError("expected a body of JSON, got something else") from error


async def read_form(request: Request, is_file: Callable[[str], bool] = FILE_FIELD.__eq__) -> Form:
    """The body as files, which `is_file` knows by their field, and texts; raises UnreadableBodyError."""
    parser = _MemoryParser(
        request.headers, request.stream(), max_files=MAX_IMAGES, max_fields=_MOST_FIELDS, max_part_size=2**20
    )
    try:
        return await _sorted(await parser.parse(), is_file)
    except (MultiPartException, KeyError, ValueError, LookupError) as error:
        said = error.message if isinstance(error, MultiPartException) else "got something else"
        raise UnreadableBodyError(f"expected a multipart body: {said}") from error
    finally:
        parser.close()


async def _sorted(parts: FormData, is_file: Callable[[str], bool]) -> Form:
    form = Form()
    for name, part in parts.multi_items():
        if isinstance(part, UploadFile) != is_file(name):
            raise invalid(("body", name[:80]), "expected images as files named `file`, all else as text fields")
        if isinstance(part, UploadFile):
            form.files.append(await part.read())
        else:
            form.texts.setdefault(name, []).append(part)
    return form


def validated(model: type[Model], values: Any, where: str = "body") -> Model:
    """`values` as a `model`; raises RequestValidationError, as FastAPI would."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        parts = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([{**part, "loc": (where, *part["loc"])} for part in parts]) from error


def single(form: Form, name: str) -> str | None:
    """The one value of a text field, or None without it; raises RequestValidationError for several."""
    values = form.texts.get(name, [])
    if len(values) > 1:
        raise invalid(("body", name), f"expected one value, got {len(values)}")
    return values[0] if values else None


def json_text(text: str, name: str) -> Any:
    """A text field that holds JSON; raises RequestValidationError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(("body", name), "expected JSON") from error


def from_base64(images: list[str]) -> list[bytes]:
    """The bytes of each; raises RequestValidationError naming the first that is not base64."""
    return [_from_base64(position, image) for position, image in enumerate(images)]


def invalid(where: tuple[str | int, ...], message: str) -> RequestValidationError:
    """The error of one field."""
    return RequestValidationError([{"loc": where, "msg": message, "type": "value_error"}])


async def images_alone(request: Request) -> list[bytes]:
    """The images (one or more) of a body that holds nothing else, in either form."""
    if media_type(request, *IMAGE_BODIES) == "application/json":
        return from_base64(validated(ImagesIn, await read_json(request)).images)
    form = await read_form(request)
    if form.texts:
        raise invalid(("body", next(iter(form.texts))[:80]), "expected files only")
    return at_least_one(form)


def at_least_one(form: Form) -> list[bytes]:
    """The files of a form; raises RequestValidationError if there are none."""
    if not form.files:
        raise invalid(("body", FILE_FIELD), "expected at least one file")
    return form.files


def _from_base64(position: int, image: str) -> bytes:
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(("body", "images", position), "expected base64") from error
