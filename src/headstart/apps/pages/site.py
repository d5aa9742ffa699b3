"""The three pages as one Gradio app, and the server that keeps them on this machine; the only module that knows Gradio.

Every event hands the whole form to a pure function of a page and shows what comes back.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol

from headstart.apps.pages import compare_page, decide_page, transfer_page
from headstart.apps.pages.fields import Field
from headstart.errors import HeadstartError, require
from headstart.html import frame


class Component(Protocol):
    """A component of Gradio, as far as it is used here."""

    input: Callable[..., Any]


FIRST_PORT = 7860
"""First port that is tried if none was given."""
PORTS_TRIED = 100

WEIGHTS = (400, 700)
"""Of the fonts; Gradio's files of the weight 600 lack most letters."""

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Gradio makes functions of its templates
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "frame-ancestors 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
"""What a browser may load for the pages: only what this server has."""


def blocks() -> Any:  # noqa: ANN401 - gradio.Blocks, which is imported late
    """The app.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read while Gradio is imported
    gr = require("gradio", extra="web")
    app = gr.Blocks(title="headstart", analytics_enabled=False)
    with app:
        _html(gr, frame.header())
        with gr.Column(elem_id="page-decide"):
            _decide(gr)
        with gr.Column(elem_id="page-transfer"):
            _transfer(gr)
        with gr.Column(elem_id="page-models"):
            _models(gr)
        _html(gr, frame.footer())
    return app


def _decide(gr: ModuleType) -> None:
    _html(gr, frame.intro(decide_page.TITLE, decide_page.LEAD))
    with gr.Row(elem_classes="hs-split"):
        controls = _form(gr, decide_page.FIELDS)
        with gr.Column(elem_classes="hs-result"):
            result = _html(gr, decide_page.page(_first(decide_page.FIELDS)), name="decide-result")
    _connect(gr, controls, decide_page.page, [result])


def _transfer(gr: ModuleType) -> None:
    _html(gr, frame.intro(transfer_page.TITLE, transfer_page.LEAD))
    with gr.Row(elem_classes="hs-split"):
        controls = _form(gr, transfer_page.FIELDS)
        with gr.Column(elem_classes="hs-result"):
            shown, _ = transfer_page.page(_first(transfer_page.FIELDS))
            result = _html(gr, shown, name="transfer-result")
    _connect(gr, controls, transfer_page.page, [result, controls["transfer-network"]])


def _models(gr: ModuleType) -> None:
    _html(gr, frame.intro(compare_page.TITLE, compare_page.LEAD))
    chart, menu, usage, rows = compare_page.page(_first((*compare_page.FIELDS, compare_page.PICK)))
    with gr.Row(elem_classes="hs-split"):
        controls = _form(gr, compare_page.FIELDS)
        with gr.Column(elem_classes="hs-result"):
            shown_chart = _html(gr, chart, name="models-chart")
            with gr.Column(elem_classes="hs-form"):
                controls[compare_page.PICK.name] = _control(gr, compare_page.PICK, menu)
            shown_usage = _html(gr, usage, name="models-usage")
            shown_rows = _html(gr, rows, name="models-table")
    outputs = [shown_chart, controls[compare_page.PICK.name], shown_usage, shown_rows]
    _connect(gr, controls, compare_page.page, outputs)


def _html(gr: ModuleType, value: str, *, name: str | None = None) -> Component:
    made: Component = gr.HTML(value, elem_id=name, apply_default_css=False, js_on_load=None)
    return made


def _control(gr: ModuleType, field: Field, value: object) -> Component:
    script = frame.resource("field.js")
    made: Component = gr.HTML(value, html_template=field.template, js_on_load=script, apply_default_css=False)
    return made


def _form(gr: ModuleType, fields: Sequence[Field]) -> dict[str, Component]:
    """The fields below each other: name -> component."""
    with gr.Column(elem_classes="hs-form"):
        return {field.name: _control(gr, field, field.value) for field in fields}


def _first(fields: Sequence[Field]) -> dict[str, str]:
    return {field.name: _plain(field.value) for field in fields}


def _plain(value: object) -> str:
    """What a field holds as text; of a menu the choice."""
    if isinstance(value, dict):
        value = value.get("choice")
    return "" if value is None else str(value)


def _connect(
    gr: ModuleType,
    controls: Mapping[str, Component],
    page: Callable[[Mapping[str, str]], Any],
    outputs: list[Component],
) -> None:
    """Make the page anew from all fields whenever the user changes one.

    Without Gradio's queue, which waits longer than making a page takes; meanwhile only the last change waits.
    """

    def updated(*values: object) -> Any:  # noqa: ANN401 - one value an output
        return page({name: _plain(value) for name, value in zip(controls, values, strict=True)})

    gr.on(
        [control.input for control in controls.values()],
        updated,
        inputs=list(controls.values()),
        outputs=outputs,
        queue=False,
        show_progress="hidden",
        trigger_mode="always_last",
        api_visibility="private",
    )


def theme(gr: ModuleType) -> Any:  # noqa: ANN401 - a theme
    """Fonts that come with Gradio or the system, and the ground of both modes; the rest is look.css."""
    fonts = [gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")]
    sans: list[Any] = [gr.themes.LocalFont("IBM Plex Sans", weights=WEIGHTS), *fonts]
    mono: list[Any] = [gr.themes.LocalFont("IBM Plex Mono", weights=WEIGHTS), gr.themes.Font("monospace")]
    return gr.themes.Base(font=sans, font_mono=mono).set(
        body_background_fill="#f5f7f9",
        body_background_fill_dark="#0e141a",
        body_text_color="#16202a",
        body_text_color_dark="#e9eef3",
        block_border_width="0px",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
    )


def application(host: str) -> Any:  # noqa: ANN401 - fastapi.FastAPI, which is imported late
    """The app behind a policy that lets a browser load nothing from elsewhere.

    Args:
        host: Where it will listen; on this machine alone, requests that name another host are refused, so that no web
            page can reach it under a name of its own (DNS rebinding).
    """
    made = blocks()
    gr = require("gradio", extra="web")
    fastapi = require("fastapi", extra="web")
    trusted = require("starlette.middleware.trustedhost", extra="web")
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_Policy)
    if host in LOCAL_HOSTS:
        app.add_middleware(trusted.TrustedHostMiddleware, allowed_hosts=[*LOCAL_HOSTS, "[::1]"])
    return gr.mount_gradio_app(
        app,
        made,
        path="/",
        footer_links=[],
        run_history=False,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=theme(gr),
        head=f"<style>{frame.resource('look.css')}</style>",
        js=frame.resource("page.js"),
    )


class _Policy:
    """Middleware that adds `POLICY` to every response."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Callable[[dict[str, Any]], Any]) -> None:  # noqa: ANN401
        async def with_policy(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"content-security-policy", POLICY.encode())]
                headers += [(b"referrer-policy", b"no-referrer"), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, with_policy)


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that accepts connections already.

    Args:
        host: Name or address.
        port: None takes the first free one from `FIRST_PORT`; 0 any.

    Raises:
        HeadstartError: the address cannot be had.
    """
    error: OSError | None = None
    for candidate in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED) if port is None else (port,):
        try:
            return socket.create_server((host, candidate), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except (OSError, OverflowError) as refused:
            error = refused if isinstance(refused, OSError) else OSError(str(refused))
    what = f"ports {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1}" if port is None else f"port {port}"
    reason = "" if error is None else f" ({error.strerror or error})"
    raise HeadstartError(f"{what} of {host} cannot be had{reason}", remedy="choose another --port or --host")


def serve(app: Any, listening: socket.socket) -> None:  # noqa: ANN401 - an ASGI app
    """Serve the pages until Ctrl-C.

    Raises:
        MissingExtraError: uvicorn is not installed.
    """
    uvicorn = require("uvicorn", extra="web")
    settings = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)  # pages keep a connection open
    uvicorn.Server(settings).run(sockets=[listening])
