"""Pictures of networks: `draw` one as columns of nodes joined by weighted arrows, and the film of a training run."""

from __future__ import annotations

from .film import Film as Film
from .film import png as png
from .network import NetworkPicture as NetworkPicture
from .network import draw as draw

__all__ = ["Film", "NetworkPicture", "draw", "png"]
