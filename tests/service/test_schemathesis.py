"""The description holds: whatever fits it, or nearly does, is answered as it says (schemathesis)."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.app import served
from service.auth import RULES
from service.core import Core
from service.gallery.sqlite.keys import add_key, open_keys
from service.keys import SCOPES, new_key
from service.settings import Settings

CHECKS = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]

schemathesis.serializer.alias("application/zstd", "application/octet-stream")

ENDLESS = ("GET", "/v1/events")
ASKED = [rule for rule in RULES if rule != ENDLESS]


@pytest.fixture(scope="module")
def description(tmp_path_factory, embedder) -> Iterator[schemathesis.schemas.BaseSchema]:
    """The description of a service in this process, asked with a key of every scope."""
    core = Core.over(Settings(home=tmp_path_factory.mktemp("described") / "home"), embedder)
    kept, text = new_key("", frozenset(SCOPES), None)
    with open_keys(core.settings.store_address) as connection:
        add_key(connection, kept)
    schema = schemathesis.openapi.from_asgi("/openapi.json", served(core))
    schema.config.update(headers={"X-API-Key": text})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("service.gallery.ledger.CHANGE_WAIT_S", 0.0)  # for changes that will not come
        yield schema.exclude(path=ENDLESS[1])
    core.close()


def test_the_description_is_asked_as_a_whole(description):
    assert {(operation.ok().method.upper(), operation.ok().path) for operation in description.get_all_operations()} == {
        *ASKED,
        ("GET", "/livez"),
        ("GET", "/readyz"),
    }


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_every_operation_answers_as_it_is_described(description, method, path):
    @given(case=description[path][method].as_strategy())
    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def asked(case):
        case.call_and_validate(checks=CHECKS)

    asked()


def test_what_one_answer_names_can_be_asked_for_next(description):
    """Sequences: what an operation creates or lists is what the next ones are asked with."""
    followed: set[str] = set()
    failures: list[BaseException] = []

    class Sequences(description.as_state_machine()):
        def validate_response(self, response, case, **_):
            try:
                case.validate_response(response, checks=CHECKS)
            except BaseException as failure:
                failures.append(failure)
                raise
            if response.status_code < 400:
                followed.add(f"{case.method} {case.operation.path}")

    # The service remembers earlier sequences, so what an operation leads to may differ from one sequence to the next;
    # Hypothesis then ends early. That is no failure, and hides none: each is kept above before it could be replayed.
    with suppress(FlakyStrategyDefinition):
        run_state_machine_as_test(
            Sequences,
            settings=settings(
                max_examples=12,
                stateful_step_count=12,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    assert failures == []
    assert any("{" in operation for operation in followed), followed  # a name out of an answer led somewhere
