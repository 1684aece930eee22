"""Writing files: each appears whole or not at all, and looks like any other file."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> Path:
    """Write `content` (text as UTF-8) to a file, whole or not at all, and return its path.

    It is written beside the file, flushed to disk and renamed, so that readers, and threads and processes that write
    the same file, only ever see a whole one.  The umask decides the mode of a new file; an existing one keeps its mode,
    and its owner and group where the system allows it.  A symbolic link remains one, and its target is replaced; other
    hard links to the file keep the old content.  A device or a pipe is written directly.

    Raises OSError, as `open` does, for a path that cannot be written; the old file is then unchanged.

    >>> import tempfile
    >>> write_whole(Path(tempfile.mkdtemp()) / "notes.txt", "two words").read_bytes()
    b'two words'
    """
    path, content = Path(path), content.encode("utf-8") if isinstance(content, str) else content
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} into")
    try:
        handle = os.open(path, os.O_WRONLY)  # renaming alone would replace a read-only file
    except FileNotFoundError:
        old = None
    else:
        with os.fdopen(handle, "wb") as file:  # does not truncate
            old = os.fstat(handle)
            if not stat.S_ISREG(old.st_mode):
                file.write(content)
                return path
    target = os.path.realpath(path)
    # Long enough to be unique, and short whatever the target's name, which may be as long as the system allows.
    part = os.path.join(os.path.dirname(target), f".{os.urandom(8).hex()}.part")
    try:
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if old is not None:
            _look_like(part, old)
        os.replace(part, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
    return path


def _look_like(part: str, old: os.stat_result) -> None:
    """Give the new file the owner, group and mode of the old one."""
    if hasattr(os, "chown"):
        for owner in ((old.st_uid, -1), (-1, old.st_gid)):
            with contextlib.suppress(PermissionError):
                os.chown(part, *owner)
    if os.stat(part).st_mode != old.st_mode:
        os.chmod(part, stat.S_IMODE(old.st_mode))
