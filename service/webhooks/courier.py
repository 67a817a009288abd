"""Those who carry: one thread to a webhook, its changes in order, each signed, tried again, or given up."""

import asyncio
import hashlib
import hmac
import json
import logging
import threading
import time
from functools import partial

import httpx

from service.events.feed import ChangeFeed
from service.events.seen import EVENT_KINDS, EventOut, events_of
from service.gallery.errors import NotFoundError, StoreError
from service.gallery.gallery import Gallery
from service.gallery.records import Actor
from service.gallery.sqlite import webhooks as table
from service.gallery.sqlite.arrivals import arrivals_after
from service.gallery.sqlite.webhooks import Webhook
from service.problems import WebhookError
from service.webhooks.address import Target, resolve

_LOG = logging.getLogger(__name__)
RETRY_S = 1.0  # after the store refused
MOST_ATTEMPTS = 8
MOST_WEBHOOKS = 32
FIRST_PAUSE_S = 1.0
TIMEOUT_S = 10.0
TIMESTAMP, SIGNATURE, DELIVERY = "X-Reid-Timestamp", "X-Reid-Signature", "X-Reid-Delivery"


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """What the receiver computes too: HMAC-SHA256, in hex, over the timestamp, a full stop and the body.

    >>> sign("secret", "1769857200", b"{}")
    'sha256=63e8a116baff56afc9fc8c6f1a51bdd8d162d9be52a197740689758d82d47e43'
    """
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


class Courier:
    """Delivers to one webhook until it is stopped, the webhook is removed, or its key is revoked."""

    def __init__(self, gallery: Gallery, feed: ChangeFeed, webhook: Webhook, *, private: bool) -> None:
        self._gallery = gallery
        self._feed = feed
        self._webhook = webhook
        self._private = private
        self._news = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook")
        self._thread.start()

    def stop(self) -> None:
        """Do not call again. A call under way is finished on its own."""
        self._stopped.set()
        self._news.set()

    def is_alive(self) -> bool:
        """Whether it may still call, or write of a call."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for the end, after :meth:`stop`."""
        self._thread.join()

    def _run(self) -> None:
        after = self._webhook.after_change
        with self._feed.listening(self._news.set):
            while True:
                self._news.clear()
                if self._stopped.is_set():  # asked after the news were cleared, so that none of a stop is
                    return
                try:
                    after = self._deliver_after(after)
                except NotFoundError:  # the webhook was removed meanwhile
                    return
                except StoreError as error:
                    _LOG.error("a webhook waits for the store: %s", error)
                    self._stopped.wait(RETRY_S)
                    continue
                self._news.wait()

    def _deliver_after(self, after: int) -> int:
        more = True
        while more and not self._stopped.is_set():
            with self._gallery.reading(Actor(self._webhook.key_id)) as reading:
                if reading.is_revoked(self._webhook.key_id):
                    self.stop()
                    return after
                webhook = table.find_webhook(reading, self._webhook.webhook_id)  # another may have removed it
                if webhook.home_id != self._gallery.store.home_id:  # or taken it over
                    self.stop()
                    return after
                arrivals = arrivals_after(reading, after)
            wanted = frozenset(kind for kind in EVENT_KINDS if kind in self._webhook.events)
            for change, events in events_of(arrivals, wanted):
                self._deliver(change, events)
                if self._stopped.is_set():
                    return after
                after = change
            after, more = arrivals.upto, arrivals.more
        return after

    def _deliver(self, change: int, events: list[EventOut]) -> None:
        """Call until it is answered well, ever less often; write down what was given up."""
        pause_s, reason = FIRST_PAUSE_S, ""
        for attempt in range(1, MOST_ATTEMPTS + 1):
            reason = self._call(change, events)
            if not reason:
                self._gallery.store.write(partial(table.delivered, webhook=self._webhook, upto=change))
                return
            if attempt < MOST_ATTEMPTS and self._stopped.wait(pause_s):
                return
            pause_s *= 2
        self._gallery.store.write(
            partial(table.given_up, webhook=self._webhook, change=change, attempts=MOST_ATTEMPTS, reason=reason)
        )

    def _call(self, change: int, events: list[EventOut]) -> str:
        """Why it failed, or nothing. Nothing of an answer is read but its status, and no redirect is followed."""
        webhook_id = self._webhook.webhook_id
        content = {
            "webhook_id": webhook_id,
            "change": change,
            "events": [event.model_dump(mode="json") for event in events],
        }
        body, timestamp = json.dumps(content).encode(), str(int(time.time()))
        try:
            target = resolve(self._webhook.url, private=self._private)
            headers = {
                "Host": target.host_header,
                "Content-Type": "application/json",
                TIMESTAMP: timestamp,
                SIGNATURE: sign(self._webhook.secret, timestamp, body),
                DELIVERY: f"{webhook_id}-{change}",
            }
            answer = asyncio.run(_answer(target, body, headers))
        except WebhookError as error:
            return str(error)
        except (httpx.HTTPError, OSError) as error:  # a TimeoutError, too, and a machine without a file handle left
            return f"could not be reached: {type(error).__name__}"
        return "" if answer.is_success else f"answered {answer.status_code}"


async def _answer(target: Target, body: bytes, headers: dict[str, str]) -> httpx.Response:
    """The head of a POST's answer, which has `TIMEOUT_S` however slowly it comes; raises httpx.HTTPError, OSError."""
    async with (
        asyncio.timeout(TIMEOUT_S),
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=TIMEOUT_S) as client,
        client.stream(
            "POST", target.url, content=body, headers=headers, extensions={"sni_hostname": target.server_name}
        ) as answer,
    ):
        return answer


class Couriers:
    """One for each webhook of a gallery."""

    def __init__(self, gallery: Gallery, feed: ChangeFeed, *, private: bool) -> None:
        self._gallery = gallery
        self._feed = feed
        self._private = private
        self._changing = threading.Lock()
        self._couriers: dict[str, Courier] = {}
        self._closed = False
        self._ended: list[Courier] = []  # may still finish a call, which writes: to be joined before the store closes
        with gallery.store.reading() as reading:
            kept = table.list_webhooks(reading, 0, MOST_WEBHOOKS).records
        for webhook in kept:
            if webhook.home_id == gallery.store.home_id:
                self.begin(webhook)

    def begin(self, webhook: Webhook) -> None:
        """Deliver to it from now on; after the end, at the next start."""
        with self._changing:
            if self._closed:
                return
            self._couriers[webhook.webhook_id] = Courier(self._gallery, self._feed, webhook, private=self._private)

    def end(self, webhook_id: str) -> None:
        """Call it no more."""
        with self._changing:
            courier = self._couriers.pop(webhook_id, None)
            if courier is not None:
                courier.stop()
                self._ended = [*(one for one in self._ended if one.is_alive()), courier]

    def close(self) -> None:
        """Stop all of them; what was not delivered is at the next start."""
        with self._changing:
            self._closed = True
            couriers = [*self._couriers.values(), *self._ended]
        for courier in couriers:
            courier.stop()
        for courier in couriers:
            courier.join()
