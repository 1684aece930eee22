"""Write the pages generated from the registry: coverage.md, which lists NumPy's functions, and singular_points.md.

Also compile_changes.md, from the kinds of change that tests make between two calls of a compiled function, and onnx.md.

Run as `python docs/make_pages.py`; a test fails when a page is stale.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import autograd
from autograd.numpy_calls import NUMPY
from autograd.ops.singular import CHOICES

DOCS = Path(__file__).parent
SPACES = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft}

# Functions without an array to differentiate: they create arrays, query types, print or read files.
MAKES = """
arange array asanyarray asarray asarray_chkfinite ascontiguousarray asfortranarray asmatrix bartlett base_repr
binary_repr blackman bmat broadcast_shapes busday_count busday_offset datetime_as_string datetime_data diag_indices
empty eye fftfreq format_float_positional format_float_scientific from_dlpack frombuffer fromfile fromfunction
fromiter frompyfunc fromregex fromstring full genfromtxt get_include get_printoptions getbufsize geterr geterrcall
hamming hanning identity indices info is_busday isdtype isfortran isscalar issubdtype iterable ix_ kaiser load loadtxt
mask_indices memmap mintypecode ndindex nested_iters ones printoptions promote_types ravel_multi_index rfftfreq
row_stack set_printoptions setbufsize seterr seterrcall show_config show_runtime test tri tril_indices triu_indices
typename unravel_index zeros
""".split()


def functions(space: Any) -> Iterator[tuple[str, Any]]:
    """Yield the public functions of a namespace, including aliases."""
    for name in sorted(space.__all__ if hasattr(space, "__all__") else dir(space)):
        value = getattr(space, name, None)
        if callable(value) and not name.startswith("_") and not inspect.isclass(value):
            yield name, value


def kind(name: str, function: Any) -> str:
    """Return how a function treats a Tensor: gradient, plain, no array or TypeError."""
    if function in NUMPY:
        return "gradient" if hasattr(NUMPY[function], "op") else "plain"
    return "no array" if name in MAKES else "TypeError"


def rows() -> list[tuple[str, str]]:
    """Return (dotted name, kind) of every function."""
    return [(f"{prefix}.{name}", kind(name, f)) for prefix, space in SPACES.items() for name, f in functions(space)]


KINDS = {
    "gradient": "They are recorded, to any order; `autograd` has them under the same names (those of `np.linalg` and "
    "`np.fft` in `autograd.linalg` and `autograd.fft`)",
    "plain": "The result is not a smooth function of the input: it is a plain array, and no gradient flows through it",
    "TypeError": "They have no derivative rule here, and raise an error for a Tensor instead of dropping its gradient",
    "no array": "They create arrays, query types, print, or read files",
}


def coverage() -> str:
    """Return coverage.md: how every function in NumPy's namespaces treats a Tensor."""
    found = rows()
    counts = {k: sum(kind == k for _, kind in found) for k in KINDS}
    kinds = "\n".join(f"| **{k}** | {counts[k]} | {text} |" for k, text in KINDS.items())
    smooth = [*found, *((f"scipy.special.{name}", "gradient") for name in special())]
    table = "\n".join(f"| `{name}` | {kind} | {_singular(name)} |" for name, kind in smooth)
    return COVERAGE.format(
        numpy=".".join(np.__version__.split(".")[:2]), kinds=kinds, count=counts["gradient"], table=table
    )


def _singular(name: str) -> str:
    """Where a function has no derivative, and what the gradient is there."""
    space, _, last = name.rpartition(".")
    function = NUMPY.get(getattr(SPACES.get(space), last, None))
    op = function.op.name if hasattr(function, "op") else last
    found = [c for c in CHOICES if {last, op} & set(c.functions.split())]
    return "; ".join(f"{c.where}: {c.gradient}" for c in found)


COVERAGE = """\
# NumPy functions and Tensors

Written by `python docs/make_pages.py` from the namespaces of NumPy {numpy} and the registry of ops; a test keeps it
fresh. What a function does with a Tensor is one of four things; {count} functions are differentiable, to any order:

| with a Tensor | functions | |
|---|---|---|
{kinds}

The methods `reduce` of add, multiply, maximum and minimum, `accumulate` of add and multiply, and `outer` of every
binary ufunc are differentiable too; so are the keywords `where=` and `dtype=` of ufuncs, and `where=`, `initial=` and
`dtype=` of the reductions that have them. Where a ufunc's `where=` is false, the result is 0. The functions of
`scipy.special` need the extra `scipy`; call those that SciPy implements in Python (softmax, log_softmax, logsumexp)
from `autograd.special`. [Singular points](singular_points.md) has the reasons for the gradients in the last column.

## Every function

| function | with a Tensor | gradient where there is no derivative |
|---|---|---|
{table}
"""


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def special() -> list[str]:
    return sorted(name for name, f in vars(autograd.special).items() if hasattr(f, "op") and not name.startswith("_"))


SINGULAR = """\
# Gradients at singular points

Where a function has no derivative, or more than one possible value, the engine chooses one. `python
docs/make_pages.py` writes this table from `autograd/ops/singular.py`, which `help()` uses too;
`tests/autograd/ops/test_singular.py` checks the code against it.

| function | where | gradient | why |
|---|---|---|---|
{rows}

**Equal eigenvalues.** A function of a symmetric matrix that is written as `(v * f(w)) @ v.T` with `w, v =
np.linalg.eigh(a)` is smooth there, but its gradient through `v` is a limit of 0 / 0, so it is NaN with a warning.
`autograd.linalg.spectral(f)` is the same function with exact derivatives of every order, and `expm`, `logm` and `sqrtm`
beside it are ready-made. Eigenvalues that differ by less than 64 roundings of the largest count as equal;
where a gap is larger and the quotient by it is still off by more than 1e-6 (in float32 3e-4), there is a warning.

**Small and large numbers.** A slope that its dtype can represent does not underflow, overflow or cancel inside a rule,
from the smallest float16 to the largest float64 (`tests/properties/test_magnitudes.py`). Excepted are the softmax and
the cross-entropies of labels, which read 1 - p: where p is rounded to 1 their slope is 0, as in PyTorch.

A mask selects and never multiplies (`np.where(mask, g, 0)`, not `g * mask`), so an infinite gradient on the side not
chosen does not become NaN.

The gradient of a complex z = x + iy is d/dx + i d/dy, as in PyTorch: subtracting a small multiple of it decreases a
real loss. (JAX returns its conjugate.)

`autograd.gradcheck` reports a kink within its step as a `KinkError` and does not judge the gradient there.
"""


def singular_points() -> str:
    """Return singular_points.md, the table of chosen gradients."""
    rows = [
        f"| {', '.join(f'`{name}`' for name in choice.functions.split())} | {choice.where} | {choice.gradient} | "
        f"{choice.why} |"
        for choice in CHOICES
    ]
    return SINGULAR.format(rows="\n".join(rows))


CHANGES = """\
# What changes between two calls of a compiled function

How [a compiled function](../compile.md) notices it. A guard looks in every call: the next call is right, with a program
of its own, or with the same one, which reads arrays, weights and learning rates anew. What no guard sees is a
constant of the program; the next audit raises `AuditError`. `python docs/make_pages.py` writes this table from
`tests/support/changes.py`; `tests/autograd/compiling/test_observe.py` makes every change.

| change | noticed by |
|---|---|
{rows}
"""


def changes() -> str:
    """Return compile_changes.md, the table of changes and how they are noticed."""
    support = str(DOCS.parent / "tests" / "support")
    if support not in sys.path:
        sys.path.append(support)
    from changes import CASES, text

    return CHANGES.format(rows="\n".join(f"| {text(case)} | {how} |" for case, how in CASES))


ONNX = """\
# ONNX

With the extra `onnx` (`pip install plaingrad[onnx]`). `python docs/make_pages.py` writes the lists below from the
tables in `nn/onnx`.

```python
model = nn.onnx.load("detector.onnx")  # a Module: run it, train it, freeze a part of it
boxes = model(image)  # inputs in order or by name: model.input_names
nn.onnx.save(model, "detector.onnx", image)  # any model of nn, with a sample of its input, or a tuple of samples
```

**Reading.** The parameters of a loaded model are the floating-point weights of the file, under their names there, so
`state_dict`, optimisers, `nn.save` and `nn.fit` work as with any model; running means and the like are buffers. It
computes on NumPy what the file says: a file for inference does not drop out, and keeps its running means, while it is
trained too. A node type that is not in the list is named with its place when the file is loaded, and
`nn.onnx.NODES["Type"] = function` adds it: a function of the node's inputs whose keywords are its attributes. bfloat16
and smaller weights become float32; values of strings and sequences, and quantised nodes, are not read. Files of opset
7 and newer are read; of older ones, those whose nodes broadcast as they do today.

**Writing.** A file (opset {opset}) holds what the model computes in `eval()` mode, with its parameters under their
names; `load` gives them the same names. `save` calls the model several times, with the sample and with others that it
makes: a size that follows the batch stays open (an axis named `batch`; `batch_axis=` says which axis it is), and
whatever else differs depends on the input. Before it is written, the file is run for all of these samples, and refused
if it computes something else. These raise an error that names the op and the module: an op that is not in the list; a
number that NumPy computed from the input outside of the recorded graph, such as `x > 0` in `np.where(x > 0, x, 0)`
(the layers `ReLU6`, `Hardshrink` and so on are written whole, so use them); a decision of the model by the values of
its input; packed sequences; a state of an LSTM's cell in the middle of a sequence.

**Node types that are read ({nodes_count}).** {nodes}.

**Ops that are written ({ops_count}).** {ops}.

**Layers that are written as a whole ({layers_count}).** {layers}; all others by their ops.
"""


def onnx() -> str:
    """Return onnx.md, with the node types that are read, and the ops and layers that are written."""
    from nn.onnx import LAYERS_WRITTEN, NODES, OPS_WRITTEN
    from nn.onnx.save import OPSET

    nodes = sorted({key.partition("/")[0] for key in NODES})
    layers = sorted(kind.__name__ for kind in LAYERS_WRITTEN)
    return ONNX.format(
        opset=OPSET,
        nodes=_names(nodes),
        nodes_count=len(nodes),
        ops=_names(sorted(OPS_WRITTEN)),
        ops_count=len(OPS_WRITTEN),
        layers=_names(layers),
        layers_count=len(layers),
    )


PAGES = {
    DOCS / "coverage.md": coverage,
    DOCS / "singular_points.md": singular_points,
    DOCS / "onnx.md": onnx,
    DOCS / "maintainers" / "compile_changes.md": changes,
}

if __name__ == "__main__":
    for path, text in PAGES.items():
        path.write_text(text())
        print(f"wrote {path}")
