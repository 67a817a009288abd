"""`reid-service deepstack`."""

from typing import Annotated

import typer

from service import client, logs
from service.remote import Url


def deepstack(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 5000,
    url: Url = client.DEFAULT_URL,
) -> None:
    """Speak the dialect of DeepStack and CodeProject.AI (`/v1/vision/face/…`) before a running service.

    For Double Take, Home Assistant and others that send it: set their URL to this, their key to one of ours with the
    scopes read and enrol (and erase, to delete). What they call faces are people, `confidence` is the cosine.
    """
    import uvicorn

    from service.deepstack.app import deepstack_app

    logs.configure()
    uvicorn.run(deepstack_app(url), host=host, port=port, log_config=None, access_log=False, server_header=False)
