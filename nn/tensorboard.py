"""TensorBoard: write a run's columns as event files, with TensorBoard's own package (extra `tensorboard`)."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

from .callbacks import Callback, TrainingRun

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Write every column of the history, and the learning rate, after each epoch to an event file in `folder`.

    `tensorboard --logdir folder` shows them.  A resumed run writes a new file beside the old one.  Raises ImportError
    without the extra `tensorboard`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.writer: Any = None
        try:
            self._files = importlib.import_module("tensorboard.summary.writer.event_file_writer")
            self._events = importlib.import_module("tensorboard.compat.proto.event_pb2")
            self._summaries = importlib.import_module("tensorboard.compat.proto.summary_pb2")
        except ImportError as error:
            raise ImportError("nn.TensorBoard needs its package: pip install plaingrad[tensorboard]") from error

    def on_begin(self, run: TrainingRun) -> None:
        self.close()
        self.writer = self._files.EventFileWriter(str(self.folder))

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        row = {name: values[-1] for name, values in run.history.items()} | {"lr": run.optimizer.lr}
        values = [self._summaries.Summary.Value(tag=name, simple_value=value) for name, value in row.items()]
        summary = self._summaries.Summary(value=values)
        self.writer.add_event(self._events.Event(wall_time=time.time(), step=run.epoch, summary=summary))
        self.writer.flush()
        return None

    def on_end(self, run: TrainingRun) -> None:
        self.close()

    def close(self) -> None:
        """Close the file of a run, if one is open."""
        if (writer := getattr(self, "writer", None)) is not None:
            self.writer = None
            writer.close()

    __del__ = close
