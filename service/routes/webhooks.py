"""Webhooks: signed calls to an address of the operator's for everybody who is seen."""

import secrets
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.auth import GuardedRoute
from service.dependencies import ActorOf, CoreOf, ListsOf
from service.fields import PageQuery
from service.gallery.errors import ConflictError
from service.gallery.records import Page
from service.gallery.sqlite import webhooks as table
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.webhooks import DeadLetter, Webhook
from service.gallery.sqlite.writing import Writing
from service.idempotency import IdempotencyKey, created, once, run_once
from service.schemas.webhooks import (
    DeadLetterOut,
    DeadLettersAnswer,
    WebhookAnswer,
    WebhookIn,
    WebhookOut,
    WebhookRemovedAnswer,
    WebhooksAnswer,
)
from service.webhooks.address import resolve
from service.webhooks.courier import MOST_WEBHOOKS

router = APIRouter(tags=["events"], route_class=GuardedRoute)


@router.post("/v1/webhooks", status_code=201, response_model=WebhookAnswer)
def add_webhook(asked: WebhookIn, core: CoreOf, actor: ActorOf, idempotency_key: IdempotencyKey = None) -> Response:
    """Add a webhook. From now on each change that enrols somebody is POSTed to it, in order, until it answers 2xx.

    `X-Reid-Signature` is `sha256=` and the HMAC-SHA256 over `X-Reid-Timestamp`, a full stop and the body, in hex:
    refuse calls with another, or with an old time. `X-Reid-Delivery` names the change: it may come twice. A call is
    tried 8 times in about two minutes, then becomes a dead letter.
    """
    resolve(asked.url, private=core.settings.webhooks == "private")
    asked_once = once(idempotency_key, ["add webhook", asked.model_dump(mode="json")], _answer)

    def add(writing: Writing) -> Webhook:
        if len(table.list_webhooks(writing, 0, MOST_WEBHOOKS).records) == MOST_WEBHOOKS:
            raise ConflictError(f"expected at most {MOST_WEBHOOKS} webhooks, got one more")
        secret, home_id = secrets.token_urlsafe(32), core.gallery.store.home_id
        return table.add_webhook(writing, actor, asked.url, secret, tuple(asked.events), home_id)

    written = core.gallery.store.write(lambda writing: run_once(writing, actor, asked_once, partial(add, writing)))
    if written.value is not None:
        core.couriers.begin(written.value)
    return created(written, _answer)


@router.get("/v1/webhooks")
def list_webhooks(query: Annotated[PageQuery, Query()], lists: ListsOf) -> WebhooksAnswer:
    """List webhooks in the order they were added; without their secrets."""
    found = lists.read("webhooks", query, lambda reading, after: table.list_webhooks(reading, after or 0, query.limit))
    return WebhooksAnswer(webhooks=[WebhookOut.of(webhook) for webhook in found.records], **dict(found.page))


@router.delete("/v1/webhooks/{webhook_id}")
def remove_webhook(webhook_id: str, core: CoreOf, actor: ActorOf) -> WebhookRemovedAnswer:
    """Call a webhook no more, and forget its dead letters."""
    core.gallery.store.write(lambda writing: table.remove_webhook(writing, actor, webhook_id))
    core.couriers.end(webhook_id)
    return WebhookRemovedAnswer(webhook_id=webhook_id, change=core.gallery.change)


@router.get("/v1/webhooks/{webhook_id}/dead-letters")
def list_dead_letters(webhook_id: str, query: Annotated[PageQuery, Query()], lists: ListsOf) -> DeadLettersAnswer:
    """List what could not be delivered, the latest first. `GET /v1/events?after=` tells what was missed."""

    def find(reading: Reading, before: int | None) -> Page[DeadLetter]:
        return table.list_dead_letters(reading, table.find_webhook(reading, webhook_id), before, query.limit)

    found = lists.read("dead letters", query, find)
    return DeadLettersAnswer(dead_letters=[DeadLetterOut.of(letter) for letter in found.records], **dict(found.page))


def _answer(webhook: Webhook, change: int) -> WebhookAnswer:
    return WebhookAnswer(**WebhookOut.of(webhook).model_dump(), secret=webhook.secret, change=change)
