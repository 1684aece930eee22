"""Images in folders, one folder for each class, as a dataset."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from .data import Dataset

__all__ = ["ImageFolder"]


class ImageFolder(Dataset):
    """Images in a folder with one subfolder per class: sample i is (pixels, label), with float32 pixels from 0 to 1.

    Every image is scaled to `size`: (rows, columns), or one number for a square.  `mode` "RGB" gives
    (rows, columns, 3), and "L" (grey) gives (rows, columns).  `classes` are the subfolders' names in order, and
    `skipped` the files that could not be read: `on_error="skip"` leaves them out, and "raise" raises ValueError for
    the first.  Needs Pillow (extra `images`).
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        size: int | tuple[int, int] = 32,
        mode: str = "RGB",
        on_error: str = "raise",
    ) -> None:
        if mode not in ("RGB", "L") or on_error not in ("raise", "skip"):
            raise ValueError(f"mode is 'RGB' or 'L', on_error 'raise' or 'skip'; got {mode!r} and {on_error!r}")
        self.folder, self.mode = Path(folder), mode
        self.size = (size, size) if isinstance(size, int) else size
        self.classes = sorted(path.name for path in self.folder.iterdir() if path.is_dir())
        if not self.classes:
            raise ValueError(f"{self.folder} needs a folder of images for each class, and has none")
        self.samples: list[tuple[Path, int]] = []
        self.skipped: list[Path] = []
        for label, name in enumerate(self.classes):
            for path in sorted(p for p in (self.folder / name).iterdir() if p.is_file()):
                try:
                    self._read(path)
                except ValueError:
                    if on_error == "raise":
                        raise
                    self.skipped.append(path)
                else:
                    self.samples.append((path, label))

    def _read(self, path: Path) -> Any:
        try:
            pillow = importlib.import_module("PIL.Image")
        except ImportError as error:
            raise ImportError("reading images needs Pillow: pip install plaingrad[images]") from error
        try:
            with pillow.open(path) as image:
                scaled = image.convert(self.mode).resize(self.size[::-1])
        except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
            raise ValueError(f"{path} is not a readable image: {error}") from error
        return np.asarray(scaled, np.float32) / 255

    @property
    def labels(self) -> Any:
        """The labels (n,) of all samples."""
        return np.array([label for _, label in self.samples])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        path, label = self.samples[i]
        return self._read(path), label
