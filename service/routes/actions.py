"""Actions: a clip in, what happens in it out; frames in, running scores out."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, WebSocket
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from reid.predictors.label_score import mean_labels
from service.action_news import Wanted, check_news, news_of
from service.action_stream import serve_stream
from service.actions import DEFAULT, ActionModel, Recognised
from service.auth import GuardedRoute
from service.bodies import FILE_FIELD, Form, invalid, media_type, read_form, single, validated
from service.dependencies import ActorOf, CoreOf, TicketOf, ViewerOf
from service.gallery.digests import sha256
from service.gallery.records import ActionSeen, Moment
from service.idempotency import IdempotencyKey, answered, once, replayed
from service.leaving import until_gone
from service.openapi import clip_body
from service.schemas.actions import ActionsAnswer, ActionSeenOut, ActionsFields, WindowOut, labels_out

router = APIRouter(tags=["actions"], route_class=GuardedRoute)

_TEXTS = {
    "bundle": "the action bundle to ask; default: `fights`",
    "windows": "`one` (default): the whole clip as the bundle samples it; `dense`: window after window, for long clips",
    "camera_id": "whose clip it is: what is recognised becomes an event, which needs the scope `enrol` too",
    "captured_at": "of the first frame, RFC 3339 with an offset; default: so that the last is now",
    "labels": "only these become events, separated by commas; default: all",
    "min_score": "of the best label, for it to become an event; default: 0.5",
}


@router.post("/v1/actions", response_model=ActionsAnswer, openapi_extra=clip_body(_TEXTS))
async def recognise(
    request: Request,
    core: CoreOf,
    actor: ActorOf,
    viewer: ViewerOf,
    ticket: TicketOf,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Recognise what happens in a clip (MP4, AVI, MKV, WebM …): every label with its score, and time ranges.

    A bundle is loaded when it is first asked, which is not held against the request's time. With `camera_id` each run
    of windows whose best label is sure enough becomes an event `action_recognised`. Frames can also be sent one by one:
    `WS /v1/actions/stream` takes JPEG files as binary messages and answers each with the scores of the last frames as
    JSON; its query takes `bundle`, `camera_id`, `labels` and `min_score`.
    """
    clip, fields = await _read(request)
    check_news(fields, actor, viewer.scopes)
    body = ["recognise", fields.model_dump(mode="json"), sha256(clip)]

    def render(seen: Sequence[ActionSeen], change: int) -> ActionsAnswer:
        return _answer(model, recognised, seen, change)

    asked = once(idempotency_key, body, render) if fields.camera_id is not None else None
    written = await replayed(core.gallery, actor, asked)
    if written is not None:
        return answered(written, render)
    with ticket.uncounted():
        model = await run_in_threadpool(core.actions.load, fields.bundle or DEFAULT)
    recognised = await until_gone(request, model.recognise(clip, ticket, dense=fields.windows == "dense"))
    seen = _news(model, recognised, fields)
    if not seen:
        answer = render([], core.gallery.change)
        return Response(answer.model_dump_json(), media_type="application/json")
    return answered(await run_in_threadpool(core.gallery.add_actions, actor, seen, asked), render)


@router.websocket("/v1/actions/stream")
async def stream(socket: WebSocket) -> None:
    """Frames in, scores out, until either side has enough: :mod:`service.action_stream` says by which rules."""
    await serve_stream(socket)


async def _read(request: Request) -> tuple[bytes, ActionsFields]:
    media_type(request, "multipart/form-data")
    form = await read_form(request)
    if len(form.files) != 1:
        raise invalid(("body", FILE_FIELD), f"expected one clip, got {len(form.files)}")
    return form.files[0], validated(ActionsFields, _values(form))


def _values(form: Form) -> dict[str, object]:
    """The text fields as JSON would have them; unknown ones stay, to be refused."""
    values: dict[str, object] = {name: single(form, name) for name in form.texts}
    if isinstance(labels := values.get("labels"), str):
        values["labels"] = [label.strip() for label in labels.split(",")]
    return values


def _news(model: ActionModel, recognised: Recognised, fields: ActionsFields) -> list[ActionSeen]:
    if fields.camera_id is None:
        return []
    wanted = Wanted.of(fields.camera_id, model.bundle.id, fields)
    if fields.captured_at is not None:
        begin = Moment.of(fields.captured_at)
    else:
        begin = Moment(Moment.now().us - round(recognised.spans[-1].end_s * 1e6))
    return news_of(recognised.spans, wanted, begin)


def _answer(model: ActionModel, recognised: Recognised, seen: Sequence[ActionSeen], change: int) -> ActionsAnswer:
    clip = recognised.clip
    return ActionsAnswer(
        labels=labels_out(mean_labels([span.labels for span in recognised.spans])),
        windows=[
            WindowOut(start_s=span.start_s, end_s=span.end_s, labels=labels_out(span.labels))
            for span in recognised.spans
        ],
        num_frames=clip.num_frames,
        fps=clip.fps,
        codec=clip.codec,
        events=[ActionSeenOut.of(one) for one in seen],
        bundle_id=model.bundle.id,
        change=change,
    )
