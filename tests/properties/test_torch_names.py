"""Every public name and argument of PyTorch's networks: it is here, or its error says what to write."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest

import nn
import nn.functional as F
from nn.arguments import ALIASES, UNNEEDED, needed
from nn.elsewhere import LOADER
from torch_names import PATH, recorded

HERE = {
    "nn": nn, "nn.functional": F, "nn.init": nn.init, "nn.utils": nn.utils, "nn.utils.rnn": nn.utils.rnn,
    "nn.utils.parametrizations": nn.utils.parametrizations, "nn.utils.parametrize": nn.utils.parametrize,
    "optim": nn.optim, "optim.lr_scheduler": nn.optim.lr_scheduler, "optim.swa_utils": nn.optim.swa_utils,
    "utils.data": nn,
}  # fmt: skip
NAMES = recorded()
# Arguments in PyTorch's signatures that say nothing.
EMPTY = {"args", "kwargs", "defaults", "unsafe"}


def missing(path):
    return [name for name in NAMES[path] if not hasattr(HERE[path], name)]


@pytest.mark.parametrize("path", NAMES)
def test_a_name_is_here_or_its_error_says_what_to_write(path):
    for name in missing(path):
        with pytest.raises(AttributeError) as told:
            getattr(HERE[path], name)
        said = str(told.value)
        assert said.startswith(f"module '{HERE[path].__name__}' has no attribute '{name}'; "), said
        assert len(said.partition("; ")[2].split()) >= 2, said


def test_the_table_holds_no_name_that_is_here():
    from nn import elsewhere

    tables = {"nn": elsewhere.NAMES, "nn.functional": elsewhere.FUNCTIONAL, "nn.utils": elsewhere.UTILS}
    for path, table in {**tables, "nn.init": elsewhere.INIT, "optim": elsewhere.OPTIM}.items():
        assert not {name for name in table if name in HERE[path].__all__ or name in vars(HERE[path])}, path


PAIRS = [
    (path, name)
    for path, names in NAMES.items()
    for name in names
    if hasattr(HERE[path], name) and not inspect.ismodule(getattr(HERE[path], name))
]


def takes_more(value):
    """Whether a function or class takes arguments that change nothing."""
    if not inspect.isclass(value):
        return hasattr(value, "__wrapped__")
    own = next(kind for kind in value.__mro__ if "__init__" in vars(kind))
    return own is nn.FunctionModule or hasattr(own.__init__, "__wrapped__")


HARMLESS = [None, False, True, 0, 2.0, -1, "", "right", 3]


@pytest.mark.parametrize(("path", "name"), PAIRS, ids=[f"{path}.{name}" for path, name in PAIRS])
def test_an_argument_is_taken_or_its_error_says_what_to_write(path, name):
    known = inspect.signature(getattr(HERE[path], name)).parameters
    for argument in NAMES[path][name]:
        if argument in known or argument in EMPTY or (argument == "args" and "modules" in known):
            continue
        if ALIASES.get(argument) in known or isinstance(ALIASES.get(argument), int):
            value = object()
            assert [*needed(name, known, {argument: value}, {}).values()] == [value], argument
        elif argument in UNNEEDED:
            assert any(map(UNNEEDED[argument].harmless, HARMLESS)) and takes_more(getattr(HERE[path], name)), argument
            if argument not in ("_stacklevel",):
                with pytest.raises(TypeError, match=rf"^{name}\(\) does not take {argument}=.*; \w+"):
                    needed(name, known, {argument: object}, {})
        else:
            assert name == "DataLoader" and argument in LOADER, argument
            assert not needed(name, known, {argument: None}, LOADER)
            with pytest.raises(TypeError, match=f"{argument}.*; {LOADER[argument].split()[0]}"):
                nn.DataLoader([1], **{argument: object()})


def test_the_record_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    if not torch.__version__.startswith("2.13"):
        pytest.skip("another version")
    assert PATH.exists() and set(NAMES["nn.functional"]) <= set(dir(torch.nn.functional))
    for name in NAMES["nn"]:
        assert hasattr(torch.nn, name)


X, T = np.array([[0.5, -1.0, 2.0]]), np.array([[1.0, 0.0, 0.5]])
CALLS = {
    "relu": {}, "gelu": {}, "pad": {"pad": (1, 1)}, "kl_div": {"target": T}, "dropout": {"p": 0.0},
    "softmax": {"dim": -1}, "log_softmax": {"dim": -1}, "elu": {"alpha": 0.5}, "glu": {"dim": 0},
    "layer_norm": {"normalized_shape": (3,)}, "mse_loss": {"target": T}, "l1_loss": {"target": T},
    "normalize": {"dim": 1}, "softmin": {"dim": 1}, "rms_norm": {"normalized_shape": (3,)}, "tanh": {}, "sigmoid": {},
    "linear": {"weight": X}, "cross_entropy": {"target": np.array([1])},
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_keywords_give_the_same_as_places(name):
    """`input`, `axis` beside `dim`, and PyTorch's values that change nothing."""
    x, options = (np.concatenate([X, X]) if name == "glu" else X), CALLS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = getattr(F, name)(x, **options)
        other = {"axis" if key == "dim" else key: value for key, value in options.items()}
        more = {key: None for key in NAMES["nn.functional"][name] if key in ("size_average", "reduce", "dtype", "out")}
        for given in (options, other, {**other, **more}):
            np.testing.assert_array_equal(getattr(F, name)(input=x, **given), expected)
        if "inplace" in NAMES["nn.functional"][name]:
            np.testing.assert_array_equal(getattr(F, name)(x, inplace=True, **options), expected)
    if "dim" in options:
        with pytest.raises(TypeError, match=f"{name}.. got 'dim' twice"):
            getattr(F, name)(x, axis=0, **options)


OPTIMISERS = [n for n in nn.optim.__all__ if inspect.isclass(getattr(nn.optim, n)) and n not in ("Optimizer",)]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_names_the_options_that_it_has(name):
    make, w = getattr(nn, name), nn.Parameter(np.ones((2, 2)))
    make([w], foreach=False, fused=None, capturable=False, differentiable=False, maximize=False)
    with pytest.raises(
        TypeError, match=rf"{name}\(\) has no argument 'lrr'; did you mean 'lr'\? \(it takes params, lr"
    ):
        make([w], lrr=0.1)
    with pytest.raises(TypeError, match="does not take differentiable=True; write the steps"):
        make([w], differentiable=True)


LAYERS = {
    "Linear": (2, 3), "Conv2d": (1, 2, 3), "LSTM": (2, 3), "BatchNorm1d": (2,), "Embedding": (3, 2), "LayerNorm": (2,),
    "MultiheadAttention": (4, 2), "Transformer": (4, 2, 1, 1, 4), "PReLU": (), "RNNCell": (2, 3), "Bilinear": (1, 2, 3),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_made_in_memory(name):
    make, args = getattr(nn, name), LAYERS[name]
    for device in (None, "cpu", "cpu:0"):
        assert {p.dtype for p in make(*args, device=device, dtype=np.float64).parameters()} == {np.dtype(float)}
    with pytest.raises(TypeError, match=rf"^{name}\(\) does not take device='cuda:1'; parameters are made in memory"):
        make(*args, device="cuda:1")
    with pytest.raises(TypeError, match=rf"^{name}\(\) has no argument 'generater'; did you mean 'generator'|takes"):
        make(*args, generater=1)


def test_a_loader_takes_options_of_workers():
    rows = nn.TensorDataset(np.arange(5))
    plain = [x.tolist() for (x,) in nn.DataLoader(rows, batch_size=2)]
    options = {"num_workers": 4, "pin_memory": True, "persistent_workers": True, "prefetch_factor": 2, "timeout": 0}
    assert [x.tolist() for (x,) in nn.DataLoader(rows, batch_size=2, **options, sampler=None)] == plain
    with pytest.raises(TypeError, match="num_workers=-1; batches are read in this process"):
        nn.DataLoader(rows, num_workers=-1)
