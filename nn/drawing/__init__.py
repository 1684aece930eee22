"""Draw networks as columns of nodes joined by weighted arrows, and film training runs."""

from __future__ import annotations

from .chart import chart as chart
from .film import Film as Film
from .images import png as png
from .network import NetworkPicture as NetworkPicture
from .network import draw as draw

__all__ = ["Film", "NetworkPicture", "chart", "draw", "png"]
