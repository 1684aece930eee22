"""Files of any bytes: read whole or refused, without a crash, a partial load, or memory that the file does not hold."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import nn

SUFFIXES = [".npz", ".safetensors"]
fuzz = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
every_suffix = pytest.mark.parametrize("suffix", SUFFIXES)


def network():
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def attempt(tmp_path, suffix, content, limit=10**7):
    """Load these bytes into a network: they fit and are loaded whole, or are refused and nothing changes."""
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path, model = tmp_path / f"model{suffix}", network()
    path.write_bytes(content)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    tracemalloc.start()
    try:
        arrays = nn.load(path, model, limit=limit)
    except (ValueError, OSError):
        arrays = before
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 40 * len(content) + 2_000_000
    assert model.state_dict().keys() == arrays.keys()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, np.asarray(arrays[name]).astype(array.dtype))


def valid(tmp_path, suffix):
    path = tmp_path / f"valid{suffix}"
    nn.save(network(), path)
    return path.read_bytes()


@every_suffix
@fuzz
@given(content=st.binary(max_size=400))
@example(content=b"")
@example(content=b"PK\x03\x04")
@example(content=b"PK\x05\x06" + bytes(18))
@example(content=struct.pack("<Q", 2**63) + b"{}")
@example(content=struct.pack("<Q", 2) + b"{}")
def test_any_bytes(tmp_path, suffix, content):
    attempt(tmp_path, suffix, content)


@every_suffix
@fuzz
@given(data=st.data())
def test_a_valid_file_with_pieces_changed_moved_doubled_or_missing(tmp_path, suffix, data):
    content = bytearray(valid(tmp_path, suffix))
    for _ in range(data.draw(st.integers(1, 4))):
        a = data.draw(st.integers(0, len(content)))
        b = data.draw(st.integers(a, min(len(content), a + 200)))
        piece = data.draw(st.sampled_from(["noise", "drop", "double", "zero", "move", "ff"]))
        if piece == "noise":
            content[a:b] = data.draw(st.binary(min_size=b - a, max_size=b - a))
        elif piece == "drop":
            del content[a:b]
        elif piece == "double":
            content[a:a] = content[a:b]
        elif piece == "move":
            taken = content[a:b]
            del content[a:b]
            content += taken
        else:
            content[a:b] = (b"\0" if piece == "zero" else b"\xff") * (b - a)
    attempt(tmp_path, suffix, bytes(content))


def npy(header, payload=b"", version=(1, 0)):
    text = header if isinstance(header, bytes) else header.encode("latin1")
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + size + text + payload


WORD = st.sampled_from(
    ["0.weight", "0.bias", "../../etc/passwd", "/etc/passwd", "", "a/b", "0.weight.npy", "\u2028", "con"]
)
DESCR = st.sampled_from(
    [
        "'<f4'",
        "'<f8'",
        "'|O'",
        "'<M8[s]'",
        "'|V8'",
        "[('a', '<f4')]",
        "'<U9'",
        "'>f4'",
        "'<f2'",
        "'<c16'",
        "5",
        "'<f99'",
    ]
)
SHAPE = st.one_of(
    st.lists(st.integers(-1, 5), max_size=4).map(tuple),
    st.sampled_from([(2**40,), (2**62, 4), (2**70,), (0, 2**62), (-1, -1), (1,) * 40, (1,) * 70, (True, 2)]),
)


@fuzz
@given(
    members=st.lists(
        st.tuples(
            WORD,
            DESCR,
            SHAPE,
            st.sampled_from(["False", "True", "1", "None", "__import__('os').abort()"]),
            st.binary(max_size=64),
            st.sampled_from([(1, 0), (2, 0), (3, 0), (9, 9)]),
            st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
        ),
        max_size=4,
    ),
    comment=st.binary(max_size=30),
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_archives_of_arrays_that_are_not_what_they_say(tmp_path, members, comment):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = comment
        for name, descr, shape, fortran, payload, version, kind in members:
            header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"
            archive.writestr(f"{name}.npy", npy(header, payload, version), compress_type=kind)
    attempt(tmp_path, ".npz", buffer.getvalue())
    assert sorted(p.name for p in tmp_path.iterdir()) in (["model.npz"], ["model.npz", "valid.npz"])


@fuzz
@given(
    entries=st.dictionaries(
        WORD,
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "F64", "BF16", "I64", "BOOL", "F8_E4M3", "X9"]),
                "shape": st.lists(st.integers(-1, 2**63), max_size=3),
                "data_offsets": st.lists(st.integers(-1, 2**63), min_size=2, max_size=2),
            }
        )
        | st.none()
        | st.integers()
        | st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
        max_size=3,
    ),
    extra=st.integers(-5, 2**62),
    payload=st.binary(max_size=64),
)
def test_safetensors_headers_that_are_not_what_they_say(tmp_path, entries, extra, payload):
    pytest.importorskip("safetensors")
    text = json.dumps(entries).encode()
    size = max(0, len(text) + (extra if extra % 3 == 0 else 0))
    attempt(tmp_path, ".safetensors", struct.pack("<Q", size) + text + payload)


class Bomb:
    """What a pickle would run."""

    def __reduce__(self):
        return exec, ("raise SystemExit('a file was run')",)


@every_suffix
def test_no_pickle_is_run(tmp_path, suffix):
    bomb = pickle.dumps(Bomb())
    attempt(tmp_path, suffix, bomb)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **{"0.weight": np.array([Bomb()], dtype=object)})
    attempt(tmp_path, suffix, buffer.getvalue())


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_nothing_is_inflated(tmp_path, kind):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        archive.writestr("0.weight.npy", bytes(20_000_000))
    assert len(buffer.getvalue()) < 40_000
    attempt(tmp_path, ".npz", buffer.getvalue(), limit=2**40)


def test_sizes_that_overlap_or_lie(tmp_path):
    """A directory of many members that are all the same bytes of the file: it would be read many times over."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "0.npy", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (100000,), }\n", bytes(100_000))
        )
    content = buffer.getvalue()
    start = content.rindex(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    entry, tail = content[start:end], bytearray(content[end:])
    entries = entry * 2000
    tail[8:12] = struct.pack("<HH", 2000, 2000)
    tail[12:16] = struct.pack("<I", len(entries))
    content = content[:start] + entries + bytes(tail)
    attempt(tmp_path, ".npz", content, limit=2**40)
    with pytest.raises(ValueError, match="overlap"):
        nn.load(tmp_path / "model.npz")


# ---- checkpoints


X, Y = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32), np.array([0, 1, 1, 0, 1, 0])


def resumed(folder, epochs):
    """The numbers of a run that resumed from the folder, or that was refused and changed nothing."""
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    optimizer = nn.Adam(model.parameters())
    stopping, generator = nn.EarlyStopping(), np.random.default_rng(0)
    parts = {
        "model": lambda: {name: array.tolist() for name, array in model.state_dict().items()},
        "optimizer": lambda: repr(optimizer.state_dict()),
        "callback": lambda: repr(stopping.state_dict()),
        "generator": lambda: repr(generator.bit_generator.state),
    }
    before = {name: part() for name, part in parts.items()}
    try:
        nn.fit(
            model, X, Y, optimizer=optimizer, epochs=epochs, callbacks=[stopping, nn.Checkpoint(folder)],
            generator=generator, validation=0.34, progress=False,
        )  # fmt: skip
    except (ValueError, OSError):
        now = {name: part() for name, part in parts.items()}
        before["generator"] = now["generator"] = ""  # which has drawn the samples to hold out
        assert now == before
        return None
    return parts["model"]()


@pytest.fixture(scope="module")
def last(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    resumed(folder, 2)
    return (folder / "last.npz").read_bytes()


def place(tmp_path, content):
    folder = tmp_path / "altered"
    folder.mkdir(exist_ok=True)
    (folder / "last.npz").write_bytes(content)
    return folder


def test_a_whole_checkpoint_is_taken_up(tmp_path, last):
    assert resumed(place(tmp_path, last), 4) == resumed(tmp_path, 4)


@fuzz
@given(data=st.data())
def test_a_checkpoint_with_bytes_changed_is_refused_or_of_use(tmp_path, last, data):
    content = bytearray(last)
    for _ in range(data.draw(st.integers(1, 3))):
        a = data.draw(st.integers(0, len(content)))
        b = data.draw(st.integers(a, min(len(content), a + 40)))
        content[a:b] = data.draw(st.binary(min_size=0, max_size=40))
    resumed(place(tmp_path, bytes(content)), 3)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["best", "state", "lr", "a"]), inner),
    max_leaves=5,
)


@fuzz
@given(data=st.data())
def test_a_checkpoint_with_values_changed_is_refused_before_anything_changes(tmp_path, last, data):
    state = nn.checkpoint.unpack(nn.load(place(tmp_path, last) / "last.npz"))
    place_in, key = state, data.draw(st.sampled_from(sorted(state)))
    while isinstance(place_in[key], dict | list) and place_in[key] and data.draw(st.booleans()):
        place_in = place_in[key]
        keys = sorted(place_in) if isinstance(place_in, dict) else range(len(place_in))
        key = data.draw(st.sampled_from(keys))
    place_in[key] = data.draw(VALUES)
    folder = tmp_path / "altered"
    nn.save(nn.checkpoint.pack(state), folder / "last.npz")
    resumed(folder, 2)  # no epochs are left: the file is only loaded


TREES = [b"[" * 200_000, b"5", b"\xff\xfe", b'{"epoch": NaN}', b'{"\\u0000array": "array0"}', b""]


@pytest.mark.parametrize("text", TREES, ids=lambda text: text[:9].decode("latin1"))
def test_a_tree_that_is_none(tmp_path, text):
    folder = place(tmp_path, b"")
    nn.save({"tree": np.frombuffer(text, np.uint8)}, folder / "last.npz")
    assert resumed(folder, 2) is None
