"""The playground as a widget for notebooks, on anywidget (extra `play`)."""

from __future__ import annotations

import asyncio
from typing import Any

from .conversation import converse
from .page import ASSETS, live_page
from .settings import Settings

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ImportError("nn.playground.widget() needs anywidget: pip install plaingrad[play]") from error


class Playground(anywidget.AnyWidget):
    """The page of the playground in a frame; the kernel answers its messages and trains while the page is looked at.

    Training goes on between the cells that run, because one kernel runs both.
    """

    _esm = ASSETS / "notebook.mjs"
    page = traitlets.Unicode().tag(sync=True)

    def __init__(self, settings: Settings) -> None:
        super().__init__(page=live_page(settings).text)
        self.inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.talking: asyncio.Task[None] | None = None
        self.on_msg(self._asked)

    def _asked(self, _widget: Any, message: dict[str, Any], _buffers: Any) -> None:
        if self.talking is None:
            self.talking = asyncio.get_running_loop().create_task(converse(self.inbox, self.send))
        self.inbox.put_nowait(message)

    def close(self) -> None:
        """Stop training and remove the widget."""
        if hasattr(self, "inbox"):
            self.inbox.put_nowait(None)
        super().close()


def widget(**settings: Any) -> Playground:
    """Return the playground as a widget, with these settings to begin with."""
    return Playground(Settings.of(settings))
