"""Sequences of several lengths, under PyTorch's module name; the same functions are in `nn`."""

from __future__ import annotations

from ..sequences import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence

__all__ = ["PackedSequence", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence"]
