"""The playground: a page on which the real engine trains a small network, step by step (extra `play`).

`python -m nn.playground` opens it in the browser; `nn.playground.widget()` shows it in a notebook.
"""

from __future__ import annotations

from typing import Any

__all__ = ["serve", "widget"]


def serve(port: int = 0, *, browser: bool = True) -> None:
    """Open the playground in the browser, and serve it to this machine until Ctrl-C.

    Port 0 takes a free one.  Raises ImportError without the extra `play`.
    """
    from .server import serve

    serve(port, browser=browser)


def widget(**settings: Any) -> Any:
    """Return the playground as a widget for a notebook, with these settings to begin with (see `Settings`).

    Raises ImportError without the extra `play`, and ValueError for settings that there are not.
    """
    from .notebook import widget

    return widget(**settings)
