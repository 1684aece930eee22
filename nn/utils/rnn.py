"""Sequences of several lengths, under PyTorch's module name; the same functions are in `nn`."""

from __future__ import annotations

from typing import Any

from ..elsewhere import RNN, absent
from ..sequences import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence

__all__ = ["PackedSequence", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence"]


def __getattr__(name: str) -> Any:
    raise absent(__name__, name, RNN)
