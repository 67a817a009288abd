"""Webhooks in, webhooks and dead letters out."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from service.events.seen import EVENT_KINDS, EventKind
from service.fields import PageAnswer, Strict
from service.gallery.sqlite.webhooks import DeadLetter, Webhook


class WebhookIn(Strict):
    """Where to call, and for what."""

    url: Annotated[str, Field(min_length=1, max_length=2000, examples=["https://alarm.example/seen"])]
    events: Annotated[list[EventKind], Field(min_length=1, max_length=8)] = Field(default=list(EVENT_KINDS))


class WebhookOut(BaseModel):
    """A webhook. Changes up to `after_change` are delivered or given up."""

    webhook_id: str
    url: str
    events: list[str]
    after_change: int
    created_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        """From the record."""
        return cls(
            webhook_id=webhook.webhook_id,
            url=webhook.url,
            events=list(webhook.events),
            after_change=webhook.after_change,
            created_at=webhook.created_at.datetime(),
        )


class WebhookAnswer(WebhookOut):
    """A webhook that was added, with the secret that its calls are signed with: it is shown this once."""

    secret: str
    change: int


class WebhooksAnswer(PageAnswer):
    """A page of webhooks."""

    webhooks: list[WebhookOut]


class WebhookRemovedAnswer(BaseModel):
    """A webhook that is called no more."""

    webhook_id: str
    change: int


class DeadLetterOut(BaseModel):
    """A change whose events could not be delivered."""

    change: int
    attempts: int
    reason: str = Field(description="why the last attempt failed", examples=["answered 500"])
    at: datetime

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        """From the record."""
        return cls(change=letter.change, attempts=letter.attempts, reason=letter.reason, at=letter.at.datetime())


class DeadLettersAnswer(PageAnswer):
    """A page of dead letters, the latest first."""

    dead_letters: list[DeadLetterOut]
