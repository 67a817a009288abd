"""The command `reid-service`: serve, check a deployment, make keys, ask a running service."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reid import threads
from reid.errors import ReidError
from service import keys, remote
from service.deepstack.command import deepstack
from service.frigate.command import frigate
from service.gallery.sqlite.keys import add_key, list_keys, revoke_key
from service.gallery.stores import open_keys
from service.homeassistant.command import home_assistant
from service.ingest.command import ingest
from service.settings import Settings, load_settings, masked, variable

EXIT_REFUSED = 2

app = typer.Typer(
    name="reid-service",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Person re-identification as a REST service.

    Enrol crops of people, then ask where else the same person was seen. Everything the service writes lies in one
    folder, REID_HOME; one service holds it at a time.

    Settings come from flags, then from REID_* variables, then from defaults; `reid-service check` shows them all.
    A REID_* variable that is no setting is refused.

    First steps: `reid-service keys create --scope read --scope enrol`, then `reid-service serve`; the interface is
    described at http://127.0.0.1:8000/docs.

    Exit status: 0 after a clean end, 2 when something was refused, with one line on stderr that says what.""",
)
keys_app = typer.Typer(
    no_args_is_help=True,
    help="""Make, list and revoke API keys.

    Only a hash of each key is kept. A running service sees a new or a revoked key at its next request.""",
)
app.add_typer(keys_app, name="keys")
for command in (
    remote.enrol,
    remote.query,
    remote.actions,
    remote.persons,
    remote.export,
    ingest,
    frigate,
    deepstack,
    home_assistant,
):
    app.command()(command)
app.command("import")(remote.take_in)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (REID_HOST); 127.0.0.1 unless set.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (REID_PORT); 8000 unless set.")] = None,
    fd: Annotated[int | None, typer.Option(help="A listening loopback socket to serve on, by its number.")] = None,
) -> None:
    """Serve the REST interface until SIGTERM or Ctrl-C.

    The bundle and the gallery are loaded before the port opens. With REID_AUTH=off no key is asked for; then only a
    loopback address is served, and requests from other pages or through proxies are refused.
    """
    with _refusals():
        settings = load_settings(host=host, port=port)
        threads.configure()
        from service.server import run  # loads torch and FAISS, which read their thread counts once

        run(settings, fd)


@app.command()
def check() -> None:
    """Print the settings, secrets masked, and what is wrong with them; exit 2 if anything is.

    Makes nothing, and may be run beside a service.
    """
    with _refusals():
        settings = load_settings()
    for name, field in Settings.model_fields.items():
        typer.echo(f"{variable(name)}={masked(getattr(settings, name))}  # {field.description}")
    threads.configure()
    from service.check import faults, notes

    for note in notes(settings):
        typer.echo(note)
    found = faults(settings)
    for fault in found:
        typer.echo(f"wrong: {fault}", err=True)
    if found:
        raise typer.Exit(EXIT_REFUSED)
    typer.echo("nothing is wrong")


@keys_app.command("create")
def create_key(
    scope: Annotated[list[str], typer.Option(help="What it may do: read, enrol, erase or admin. Repeat for several.")],
    camera: Annotated[
        list[str] | None,
        typer.Option(help="Limit it to this camera_id. Repeat for several. Then only read and enrol."),
    ] = None,
    name: Annotated[str, typer.Option(help="A note on who has it.")] = "",
) -> None:
    """Make a key and print it, once, on stdout.

    Scopes do not include each other: read searches and lists, enrol adds and changes, erase deletes, admin reads
    the audit. A key limited to cameras sees nothing of any other camera.
    """
    with _refusals():
        key, text = keys.new_key(name, frozenset(scope), frozenset(camera) if camera else None)
        with open_keys(load_settings().store_address) as connection:
            add_key(connection, key)
    typer.echo(text)


@keys_app.command("list")
def show_keys() -> None:
    """List the keys: id, name, scopes, cameras, since when, and whether revoked."""
    with _refusals(), open_keys(load_settings().store_address) as connection:
        found = list_keys(connection)
    table = Table("id", "name", "scopes", "cameras", "created", "revoked")
    for key in found:
        cameras = "all" if key.cameras is None else ", ".join(sorted(key.cameras))
        revoked = "" if key.revoked_at is None else f"{key.revoked_at.datetime():%Y-%m-%d %H:%M}"
        created = f"{key.created_at.datetime():%Y-%m-%d %H:%M}"
        table.add_row(key.key_id, key.name, " ".join(sorted(key.scopes)), cameras, created, revoked)
    Console().print(table)


@keys_app.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="The id, as `keys list` shows it.")]) -> None:
    """Refuse a key from now on."""
    with _refusals(), open_keys(load_settings().store_address) as connection:
        revoke_key(connection, key_id)
    typer.echo(f"revoked {key_id}")


@contextmanager
def _refusals() -> Iterator[None]:
    """What the caller got wrong becomes one line on stderr; what we got wrong stays a traceback."""
    try:
        yield
    except (ReidError, ValueError, OSError, sqlite3.Error) as error:
        typer.echo(f"reid-service: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(EXIT_REFUSED) from error


if __name__ == "__main__":
    app()
