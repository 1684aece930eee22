"""The page of the playground: the same for the server, for a notebook, and as a file that was saved."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from autograd import Page

from .code import code_of
from .session import Session
from .settings import Settings
from .view import choices, frame, points

ASSETS = Path(__file__).parent / "assets"
TITLE = "Playground: how a network learns"
SCRIPTS = [ASSETS / f"{name}.js" for name in ("pictures", "network", "details", "charts", "playground")]


def live_page(settings: Settings | None = None) -> Page:
    """The page that talks to a session: over a socket, or in a frame of a notebook with the window around it.

    It begins with `settings`, unless its address has others.
    """
    return _page({"choices": choices(), "settings": asdict(settings or Settings())}, connect=True)


def saved_page(session: Session) -> Page:
    """The page as a file, with all that a session has to show; every node and arrow can be clicked, nothing runs."""
    return _page({"choices": choices(), "points": points(session), "frame": frame(session), "code": code_of(session)})


def _page(data: dict[str, Any], *, connect: bool = False) -> Page:
    body = (ASSETS / "playground.html").read_text("utf-8")
    allowed = "connect-src 'self' ws://127.0.0.1:* ws://localhost:*" if connect else ""  # not all take ws: for 'self'
    return Page(TITLE, body, data, styles=[ASSETS / "playground.css"], scripts=SCRIPTS, allow=allowed)
