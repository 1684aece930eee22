"""TensorBoard: a run's columns as event files that TensorBoard reads, written without TensorFlow or PyTorch.

An event file is TFRecord framing around protocol buffers (tensorflow/core/lib/io/record_writer.h, event.proto and
summary.proto).  Only what a scalar needs of them is written here.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Any, BinaryIO

from .callbacks import Callback, TrainingRun


class TensorBoard(Callback):
    """Write every column of the history, and the learning rate, after each epoch to an event file in `folder`.

    `tensorboard --logdir folder` shows them.  A resumed run writes a new file beside the old.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.file: BinaryIO | None = None

    def on_begin(self, run: TrainingRun) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{os.uname().nodename}.{os.getpid()}.{time.monotonic_ns()}"
        self.file = open(self.folder / name, "wb")  # noqa: SIM115 (open as long as the run)
        self._write(event(now, version="brain.Event:2"))

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        row = {name: values[-1] for name, values in run.history.items()} | {"lr": run.optimizer.lr}
        for name, value in row.items():
            self._write(event(time.time(), step=run.epoch, scalar=(name, value)))
        return None

    def _write(self, data: bytes) -> None:
        assert self.file is not None
        self.file.write(record(data))
        self.file.flush()

    def __del__(self) -> None:
        file = getattr(self, "file", None)
        if file is not None:
            file.close()


def record(data: bytes) -> bytes:
    """A TFRecord: the length, its checksum, the data and theirs."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def masked(data: bytes) -> int:
    """The checksum of TFRecords: CRC-32C, rotated and shifted so that a checksum of checksums is harmless."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """The CRC with Castagnoli's polynomial (RFC 3720, appendix B.4).

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def event(when: float, *, step: int = 0, version: str = "", scalar: tuple[str, float] | None = None) -> bytes:
    """An Event: wall_time = 1, step = 2, file_version = 3, summary = 5 of one Value (tag = 1, simple_value = 2)."""
    data = _key(1, 1) + struct.pack("<d", when)
    if step:
        data += _key(2, 0) + _varint(step)
    if version:
        data += _bytes(3, version.encode())
    if scalar is not None:
        value = _bytes(1, scalar[0].encode()) + _key(2, 5) + struct.pack("<f", scalar[1])
        data += _bytes(5, _bytes(1, value))
    return data


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _bytes(field: int, data: bytes) -> bytes:
    return _key(field, 2) + _varint(len(data)) + data


def _varint(number: Any) -> bytes:
    """Seven bits per byte, the lowest first; the top bit says that more follow."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
