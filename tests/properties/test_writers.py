"""Every function that writes a file: mode, links and names as for any other file; whole or not at all."""

from __future__ import annotations

import ast
import functools
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import autograd
import nn
from autograd.files import write_whole
from nn.checkpoint import pack

ROOT = Path(__file__).parents[2]


def model():
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))


def picture():
    w = autograd.Tensor([1.0, 2.0], requires_grad=True, name="w")
    return autograd.draw((w * w).sum(), run_backward=True)


def rendered(suffix):
    if not shutil.which("dot"):
        pytest.importorskip("pygraphviz")
    content = autograd.drawing.render.render(picture().source, suffix)  # a PDF holds the time
    return lambda path: write_whole(path, content) if suffix == "pdf" else picture().save(path)


def history():
    samples = np.ones((4, 2), np.float32)
    film = nn.Film(samples)
    return nn.fit(model(), samples, np.array([0, 1, 0, 1]), epochs=1, progress=False, callbacks=[film])


def profiled():
    with autograd.profile() as profile:
        np.exp(autograd.Tensor([1.0], requires_grad=True)).sum().backward()
    return profile


def compiled():
    step = autograd.compile(lambda x: (x * x).sum())
    for _ in range(3):
        step(np.ones(3))
    return step


WRITERS = {
    "save.npz": lambda: functools.partial(nn.save, model()),
    "save.safetensors": lambda: pytest.importorskip("safetensors") and functools.partial(nn.save, model()),
    "checkpoint.npz": lambda: functools.partial(nn.save, pack({"epoch": 1, "model": model().state_dict()})),
    "page.html": lambda: autograd.Page("title", "<p>body</p>", {}).save,
    "picture.dot": lambda: picture().save,
    "picture.html": lambda: picture().save,
    "picture.svg": lambda: rendered("svg"),
    "picture.png": lambda: rendered("png"),
    "picture.pdf": lambda: rendered("pdf"),
    "network.svg": lambda: nn.draw(model()).save,
    "network.html": lambda: nn.draw(model()).save,
    "history.csv": lambda: history().to_csv,
    "film.html": lambda: history().film,
    "profile.json": lambda: profiled().export_chrome_trace,
    "compiled.py": lambda: compiled().save,
    "text.txt": lambda: lambda path: write_whole(path, "text"),
    "bytes": lambda: lambda path: write_whole(path, b"\0\xff"),
}


@pytest.fixture(params=WRITERS)
def case(request, tmp_path):
    """The path of a file in a folder of its own, and a function that writes it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / request.param, WRITERS[request.param]()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_the_umask_decides_the_mode_of_a_new_file_and_an_old_one_keeps_its_own(case):
    path, write = case
    for mask in (0o022, 0o002, 0o077):
        before = os.umask(mask)
        try:
            write(path)
            assert mode(path) == 0o666 & ~mask
            for own in (0o640, 0o604, 0o666):
                path.chmod(own)
                write(path)
                assert mode(path) == own
        finally:
            os.umask(before)
        path.unlink()


def test_links_remain_and_their_target_is_replaced(case, tmp_path):
    path, write = case
    write(path)
    content = path.read_bytes()
    path.unlink()
    target = tmp_path / "elsewhere" / "a target.data"
    target.parent.mkdir()
    between, absolute = path.with_name("between"), path
    between.symlink_to(Path("..") / "elsewhere" / target.name)
    absolute.symlink_to(between)
    for old in (None, b"old"):  # the link dangles at first
        if old is not None:
            target.write_bytes(old)
        write(path)
        assert path.is_symlink() and between.is_symlink() and target.read_bytes() == content
        assert [p.name for p in target.parent.iterdir()] == [target.name]
    assert len(list(path.parent.iterdir())) == 2


def test_a_name_may_be_as_long_as_the_system_allows(case):
    path, write = case
    for stem in ("x" * (255 - len(path.suffix)), "ü" * ((255 - len(path.suffix)) // 2)):
        write(path.with_name(stem + path.suffix))
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.parametrize("fails", ["os.fsync", "os.replace"])
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(case, monkeypatch, fails):
    path, write = case

    def full(*args):
        raise OSError("disk full")

    monkeypatch.setattr(fails, full)
    with pytest.raises(OSError, match="disk full"):
        write(path)
    assert not list(path.parent.iterdir())
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"):
        write(path)
    assert path.read_bytes() == b"old" and len(list(path.parent.iterdir())) == 1


def test_two_threads_in_the_midst_of_writing_one_file(case, monkeypatch):
    path, write = case
    writers, contents = (write, WRITERS[path.name]()), []
    for write in writers:
        write(path)
        contents.append(path.read_bytes())
    both, errors = threading.Barrier(2, timeout=30), []
    monkeypatch.setattr("os.fsync", lambda _: both.wait())  # neither renames before both have written

    def run(write):
        try:
            write(path)
        except Exception as error:
            both.abort()
            errors.append(error)

    threads = [threading.Thread(target=run, args=(write,)) for write in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and path.read_bytes() in contents and len(list(path.parent.iterdir())) == 1


def test_what_open_refuses_is_refused(case):
    path, write = case
    with pytest.raises(FileNotFoundError, match="no folder"):
        write(path.parent / "missing" / path.name)
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        write(path)
    path.rmdir()
    path.symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        write(path)
    path.unlink()
    if os.geteuid():  # root may write everything
        path.write_bytes(b"protected")
        path.chmod(0o444)
        with pytest.raises(PermissionError):
            write(path)
        assert path.read_bytes() == b"protected"


def test_processes_that_write_one_file(tmp_path):
    program = (
        "import sys; from autograd.files import write_whole\n"
        "for _ in range(40): write_whole(sys.argv[1], sys.argv[2] * 100_000)"
    )
    path = tmp_path / "file"
    write_whole(path, "a" * 100_000)
    writers = [subprocess.Popen([sys.executable, "-c", program, path, letter], cwd=ROOT) for letter in "ab"]
    while any(writer.poll() is None for writer in writers):
        assert path.read_text() in ("a" * 100_000, "b" * 100_000)
    assert [writer.returncode for writer in writers] == [0, 0] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
def test_pipes_and_devices_are_written_and_remain(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, "text")
    reader.join()
    assert read == [b"text"] and stat.S_ISFIFO(pipe.stat().st_mode)
    nn.History(loss=[1.0]).to_csv("/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_and_the_group_are_kept(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "old")
    os.chown(path, 12345, 23456)
    path.chmod(0o4750)
    write_whole(path, "new")
    status = path.stat()
    assert (status.st_uid, status.st_gid, mode(path)) == (12345, 23456, 0o4750)


def test_a_hard_link_keeps_the_old_content(tmp_path):
    path, other = tmp_path / "file", tmp_path / "other"
    write_whole(path, "old")
    other.hardlink_to(path)
    write_whole(path, "new")
    assert (path.read_text(), other.read_text()) == ("new", "old")


def writing(path):
    """The calls in a file that write to a path: `open` other than for reading, write_text, savefig and so on."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            modes = [a.value for a in (*node.args, *(k.value for k in node.keywords)) if isinstance(a, ast.Constant)]
            opens = name in ("open", "fdopen") and any(isinstance(m, str) and set(m) & set("wxa+") for m in modes)
            if opens or name in ("write_text", "write_bytes", "savefig", "tofile", "savetxt", "mkstemp", "rename"):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"


def test_one_function_writes_all_files():
    files = [path for folder in ("autograd", "nn") for path in (ROOT / folder).rglob("*.py")]
    found = [call for path in files if path.name != "files.py" for call in writing(path)]
    assert len(list(writing(ROOT / "autograd" / "files.py"))) == 2
    in_memory = ("archive.open", "figure.savefig(file")
    assert [call for call in found if not any(text in call for text in in_memory)] == []
