"""Self-contained HTML pages: styles, scripts and data are inline, and nothing is fetched."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import write_whole

ASSETS = Path(__file__).parent / "assets"
# Even if an unescaped name got through, it could not fetch anything or load a script from elsewhere.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


class Page:
    """A self-contained HTML page; `save` writes it, and a notebook shows it in a frame.

    `body` is HTML; the caller must escape any user text in it.  `data` is anything that JSON can hold; scripts read it
    with `pageData()`.  `styles` and `scripts` are files, added after those that all pages share.  A page may fetch
    nothing, except what `allow` adds to its Content-Security-Policy, such as "connect-src 'self'".

    A button changes between light and dark; a page in a frame of another page follows that one.  An SVG of class
    `themed` changes with it, if its colours are those of page.css.  An element of class `scroll` that is too wide says
    that it scrolls.
    """

    def __init__(
        self,
        title: str,
        body: str,
        data: Any,
        *,
        styles: Sequence[Path] = (),
        scripts: Sequence[Path] = (),
        allow: str = "",
    ) -> None:
        css = "".join(path.read_text("utf-8") for path in (ASSETS / "page.css", *styles))
        js = "".join(path.read_text("utf-8") for path in (ASSETS / "page.js", *scripts))
        held = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
        policy = f"{_POLICY}; {allow}" if allow else _POLICY
        self.title = title
        self.text = (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f"<title>{html.escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n{body}\n"
            f'<script type="application/json" id="data">{held}</script>\n'
            f"<script>\n{js}</script>\n</body>\n</html>\n"
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page, whole or not at all, and return its path."""
        return write_whole(path, self.text)

    def __repr__(self) -> str:
        return f"<page {self.title!r}: {len(self.text.encode()):,} bytes>"

    def _repr_html_(self) -> str:
        frame = "width:100%;height:640px;border:1px solid #999;border-radius:6px"
        return f'<iframe srcdoc="{html.escape(self.text)}" style="{frame}" title="{html.escape(self.title)}"></iframe>'
