"""Serve the playground to the browsers of this machine, and to no other: `python -m nn.playground`."""

from __future__ import annotations

import asyncio
import secrets
import webbrowser
from typing import Any

from .conversation import converse
from .page import live_page

try:
    import uvicorn
    import websockets  # noqa: F401  (uvicorn's sockets)
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import HTMLResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket, WebSocketDisconnect
except ImportError as error:
    raise ImportError("nn.playground needs its server: pip install plaingrad[play]") from error

HOST = "127.0.0.1"  # no other machine can connect
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LONGEST = 10_000  # bytes of a message


def application(token: str) -> Starlette:
    """Return the application: the page at /token/, and a socket with a session of its own for each page.

    A page of another site cannot use it: it does not know the token, and names of hosts other than this machine's are
    refused, so that a name that is made to point here (DNS rebinding) leads nowhere.  `state.open` counts sessions.
    """

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(text, headers=HEADERS)

    async def session(socket: WebSocket) -> None:
        origin = socket.headers.get("origin", "")
        if origin.partition("://")[2] != socket.headers.get("host"):
            await socket.close(1008)
            return
        await socket.accept()
        inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        reading = asyncio.create_task(read(socket, inbox))
        app.state.open += 1
        try:
            await converse(inbox, socket.send_json)
            await socket.close(1008)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the tab was closed
        finally:
            app.state.open -= 1
            reading.cancel()

    text = live_page().text
    routes = [Route(f"/{token}/", page), WebSocketRoute(f"/{token}/session", session)]
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
    app = Starlette(routes=routes, middleware=[guard])
    app.state.open = 0
    return app


async def read(socket: WebSocket, inbox: asyncio.Queue[dict[str, Any] | None]) -> None:
    """Put the messages of a socket into `inbox`, and None when its tab was closed or does not send JSON."""
    try:
        while True:
            inbox.put_nowait(await socket.receive_json())
    except (WebSocketDisconnect, KeyError, RuntimeError, TypeError, ValueError):
        pass
    finally:
        inbox.put_nowait(None)


def server(port: int = 0) -> tuple[uvicorn.Server, Any, str]:
    """Return a server, the socket it will listen on, and the address of its page.  Port 0 takes a free one."""
    token = secrets.token_urlsafe(16)
    config = uvicorn.Config(
        application(token), host=HOST, port=port, log_level="warning", ws="websockets-sansio", ws_max_size=LONGEST,
        timeout_graceful_shutdown=1, server_header=False,
    )  # fmt: skip
    socket = config.bind_socket()
    return uvicorn.Server(config), socket, f"http://{HOST}:{socket.getsockname()[1]}/{token}/"


def serve(port: int = 0, *, browser: bool = True) -> None:
    """Open the playground in the browser, and serve it until Ctrl-C."""
    running, socket, address = server(port)
    socket.listen()  # a browser that is faster than the server waits
    print(f"The playground is at {address}\nCtrl-C ends it.", flush=True)
    if browser:
        webbrowser.open(address)
    try:
        running.run(sockets=[socket])
    except KeyboardInterrupt:
        pass
    finally:
        socket.close()
