"""What the page asks and what it is answered, whatever carries the messages: a socket, or a notebook."""

from __future__ import annotations

import asyncio
import base64
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ..saving import save
from .code import code_of
from .page import saved_page
from .session import Session
from .settings import Settings
from .view import frame, points

SLICE = 0.03  # seconds of training between two pictures, at most
PAUSE = {"slow": 0.15, "normal": 0.03, "fast": 0.005}  # seconds between two pictures, at least


class Conversation:
    """One page with one session.  `answer` takes a message and returns the answers; `advance` trains while it runs."""

    def __init__(self) -> None:
        self.session = Session(Settings())
        self.running = False
        self.seen = True  # whether the page has drawn the last picture of a run
        self.pace = "normal"
        self.told = 0  # rows of the history that the page has

    def answer(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """Do what a message asks.  A message that cannot be met is answered by {"error": why}; nothing is changed."""
        try:
            return self._answer(message)
        except (ImportError, TypeError, ValueError) as error:
            return [{"error": str(error)}]

    def _answer(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        match message:
            case {"do": "start", "settings": settings}:
                self.session, self.told = Session(Settings.of(settings)), 0
                return [{"points": points(self.session)}, self._picture()]
            case {"do": "run"}:
                self.running = self.seen = True
                return [{"running": True}]
            case {"do": "pause"}:
                self.running = False
                return [{"running": False}, self._picture()]
            case {"do": "pace", "pace": pace} if pace in PAUSE:
                self.pace = pace
                return []
            case {"do": "seen"}:
                self.seen = True
                return []
            case {"do": "rate", "lr": lr}:
                self.session.change_rate(lr)
                return [self._picture()]
            case {"do": "follow", "sample": sample}:
                self.session.follow(sample)
                self.told = 0  # predictions of earlier rows have changed
                return [self._picture()]
            case {"do": "code"}:
                return [{"code": code_of(self.session)}]
            case {"do": "save", "name": name}:
                return [{"file": self._file(name)}]
            case {"do": what}:
                self.session.do(what)
                self.running = False
                return [{"running": False}, self._picture()]
        raise ValueError(f'a message is a dict with the key "do"; got {message!r:.40}')

    def advance(self) -> dict[str, Any]:
        """Train for an epoch (slow: a batch, fast: as many epochs as SLICE has room for) and show the result."""
        session, end = self.session, time.perf_counter() + SLICE
        session.do("batch" if self.pace == "slow" else "epoch")
        while self.pace == "fast" and time.perf_counter() < end:
            session.do("epoch")
        self.seen = False
        if not session.finite:
            self.running = False
        return self._picture() | {"running": self.running}

    def _picture(self) -> dict[str, Any]:
        # The last row may be replaced by a newer one of the same moment, so it is sent again.
        shown = {"frame": frame(self.session, self.told), "since": self.told}
        self.told = max(0, len(self.session.history) - 1)
        return shown

    def _file(self, name: str) -> dict[str, str]:
        if name == "playground.html":
            content, kind = saved_page(self.session).text.encode(), "text/html"
        elif name in ("model.npz", "model.safetensors"):
            with tempfile.TemporaryDirectory() as folder:
                save(self.session.model, Path(folder) / name)
                content, kind = (Path(folder) / name).read_bytes(), "application/octet-stream"
        else:
            raise ValueError(f"the playground saves model.npz, model.safetensors and playground.html; got {name!r:.40}")
        return {"name": name, "kind": kind, "content": base64.b64encode(content).decode("ascii")}


async def converse(
    inbox: asyncio.Queue[dict[str, Any] | None], send: Callable[[dict[str, Any]], Awaitable[None] | None]
) -> None:
    """Answer the messages of `inbox` with `send`, and train while the page wants it, until the message is None."""
    talk = Conversation()

    async def tell(answer: dict[str, Any]) -> None:
        if (sent := send(answer)) is not None:
            await sent

    while True:
        if inbox.empty() and talk.running and talk.seen:
            await tell(talk.advance())
            await asyncio.sleep(PAUSE[talk.pace])
            continue
        message = await inbox.get()
        if message is None:
            return
        for answer in talk.answer(message):
            await tell(answer)
