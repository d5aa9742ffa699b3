"""The command `headstart web`: the explorers in the browser."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import Annotated

import typer


class OpenIn(StrEnum):
    """What is opened when the server is ready."""

    browser = "browser"
    nothing = "nothing"


def web(
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; 0.0.0.0 lets others on the network in.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="0: any free one. Default: the first free from 7860.")
    ] = None,
    open_in: Annotated[OpenIn, typer.Option("--open", help="What to open when ready.")] = OpenIn.browser,
) -> None:
    """Explore strategies, transfer and networks in the browser."""
    from headstart.apps.cli.text import console
    from headstart.apps.pages import site

    app = site.application(host)
    with site.listen(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}/"
        print(f"headstart web: {address} (Ctrl-C ends it)", flush=True)
        if host not in site.LOCAL_HOSTS:
            console.warn(f"{host} may be reached from other machines, and the pages ask for no password")
        if open_in is OpenIn.browser:
            import webbrowser

            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):  # started in the background, with Ctrl-C ignored, it just returns
            site.serve(app, listening)
        print("headstart web: ended")
