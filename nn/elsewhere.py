"""Names that users of other libraries try, and what to write instead; and the errors that say so."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_CPU = "leave it out: parameters are NumPy's arrays, in memory"
_OWN = "it is not here; write forward() with NumPy's functions in a Module of your own"
_ABSENT = """
    AdaptiveLogSoftmaxWithLoss CosineSimilarity CrossMapLRN2d EmbeddingBag FractionalMaxPool2d FractionalMaxPool3d
    LPPool1d LPPool2d LPPool3d LocalResponseNorm MaxUnpool1d MaxUnpool2d MaxUnpool3d PairwiseDistance SyncBatchNorm
""".split()
_LAZY = "give the layer without Lazy its sizes, which this one would read from the first batch"
_SIZED = [f"Lazy{kind}{n}d" for kind in ("Conv", "ConvTranspose", "BatchNorm", "InstanceNorm") for n in (1, 2, 3)]
_FUNCTIONS = "relu sigmoid softmax log_softmax gelu dropout linear cross_entropy mse_loss one_hot".split()

# Names tried on `nn`.
NAMES = {
    **dict.fromkeys(_ABSENT, _OWN),
    **dict.fromkeys(["LazyLinear", *_SIZED], _LAZY),
    **{name: f"use nn.functional.{name}" for name in _FUNCTIONS},
    **dict.fromkeys(("device", "cuda", "DataParallel", "parallel"), _CPU),
    "Dense": "use nn.Linear(in_features, out_features)",
    "Input": "use nn.Linear(in_features, out_features), which is told the number of inputs",
    "Unflatten": "use x.reshape(shape) in forward()",
    "ParameterList": "use a list of nn.Parameter objects as an attribute of a Module",
    "ParameterDict": "use a dict of nn.Parameter objects as an attribute of a Module",
    "Tensor": "use autograd.Tensor(data), or nn.Parameter(data) in a Module",
    "tensor": "use autograd.Tensor(data)",
    "no_grad": "use autograd.no_grad()",
    "grad": "use autograd.grad(f)",
    "compile": "use autograd.compile(model)",
    "F": "use nn.functional",
    "IterableDataset": "use an nn.Dataset, with len() and [i]",
    "ConcatDataset": "use an nn.Dataset whose [i] chooses one of the others",
    "RandomSampler": "use nn.DataLoader(dataset, shuffle=True)",
    "SequentialSampler": "use nn.DataLoader(dataset)",
    "SubsetRandomSampler": "use nn.DataLoader(nn.Subset(dataset, rows), shuffle=True)",
    "WeightedRandomSampler": "use nn.Subset(dataset, rows), with rows that np.random.default_rng(0).choice draws",
    "default_collate": "use nn.Dataset.batch, which stacks samples",
    "seed": "use nn.manual_seed(0)",
    "train": "use nn.fit(model, X, y)",
}

# Names tried on `nn.utils`.
_OLD = ("weight_norm", "spectral_norm")
UTILS = {
    **{name: f"use nn.utils.parametrizations.{name}, whose state has other names" for name in _OLD},
    **dict.fromkeys(("remove_weight_norm", "remove_spectral_norm"), "use nn.utils.parametrize.remove_parametrizations"),
    "clip_grad_norm": "use nn.utils.clip_grad_norm_",
    "data": "use nn.DataLoader, nn.TensorDataset and the other names of nn",
}
PARAMETRIZE = {
    "cached": "read the attribute once and use the result, as every layer here does",
    "transfer_parametrizations_and_params": "use register_parametrization on the other module, and load_state_dict",
}

# Attributes tried on a Module.
MODULE = {
    "cpu": _CPU,
    "cuda": _CPU,
    "half": "use model.to(np.float16)",
    "bfloat16": "use model.float(), because NumPy has no bfloat16",
    "share_memory": "threads share parameters; processes send model.state_dict()",
    "add_module": "use setattr(model, name, module)",
    "register_parameter": "use setattr(model, name, nn.Parameter(data))",
    "get_parameter": "use dict(model.named_parameters())[name]",
    "get_submodule": "use dict(model.named_modules())[name]",
    "fit": "use nn.fit(model, X, y)",
    "predict": "use nn.predict(model, X)",
    "evaluate": "use nn.evaluate(model, X, y, metrics=['accuracy'])",
    "compile": "use autograd.compile(model)",
    "summary": "use nn.summary(model, x)",
    "save": "use nn.save(model, path)",
    "load": "use nn.load(path, model)",
}

_OWN_LOADER = "leave it out: batches are NumPy's arrays, read in this process; prefetch=2 reads two ahead in a thread"

# Keyword arguments tried on functions here.
LOADER = {
    **dict.fromkeys(("num_workers", "persistent_workers", "prefetch_factor", "worker_init_fn", "timeout"), _OWN_LOADER),
    **dict.fromkeys(("pin_memory", "pin_memory_device", "multiprocessing_context"), _OWN_LOADER),
    "collate_fn": "define batch(self, rows) in your Dataset, which returns the stacked parts",
    "sampler": "pass shuffle=True, or nn.Subset(dataset, rows) for samples in an order of your own",
    "batch_sampler": "pass batch_size=n and shuffle=True, or nn.Subset(dataset, rows)",
}
_HELD_OUT = "write validation=(X, y), or validation=0.2 for a share"
_RATE = "write optimizer=nn.Adam(model.parameters(), lr=0.001)"
_STOP = "write callbacks=[nn.EarlyStopping(patience=5)]"
_SCHEDULE = "write callbacks=[nn.LRSchedule(schedule)]"
_SEED = "write generator=np.random.default_rng(0), and nn.manual_seed(0) before the layers are made"
_WEIGHTS = "give labels as a dict, {'label': y, 'weight': w}, and a loss that reads both; or use nn.sklearn"
FIT = {
    **dict.fromkeys(("validation_data", "validation_split", "val_data", "eval_set"), _HELD_OUT),
    **dict.fromkeys(("lr", "learning_rate", "optim", "opt"), _RATE),
    **dict.fromkeys(("early_stopping", "patience"), _STOP),
    **dict.fromkeys(("scheduler", "lr_scheduler", "schedule"), _SCHEDULE),
    **dict.fromkeys(("seed", "random_state"), _SEED),
    **dict.fromkeys(("sample_weight", "class_weight"), _WEIGHTS),
    **dict.fromkeys(("criterion", "loss_fn", "loss_function"), "write loss=nn.CrossEntropyLoss()"),
    **dict.fromkeys(("n_epochs", "num_epochs", "max_epochs", "max_iter"), "write epochs=10"),
    "verbose": "write progress=False for silence, progress=True for a bar",
    "shuffle": "samples are shuffled; for a fixed order pass nn.DataLoader(nn.TensorDataset(X, y), batch_size=32)",
    "device": _CPU,
}
STOPPING = {
    "restore_best_weights": "write restore=True, which is the default",
    "verbose": "the reason is history.stopped",
}
PLATEAU = {"verbose": "leave it out; the rate of a group is schedule.get_last_lr()[0]"}
SUMMARY = {
    **dict.fromkeys(("input_size", "input_shape"), "pass a batch: nn.summary(model, np.zeros((1, 4), np.float32))"),
    "input_data": "pass the batch itself: nn.summary(model, x)",
    "device": _CPU,
}
TO = {"device": _CPU, "non_blocking": _CPU, "copy": "use copy.deepcopy(model)"}
DEVICES = ("cpu", "cuda", "mps", "xpu", "meta")


def explains(hints: Mapping[str, str], name: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: a keyword argument in `hints` raises TypeError with its hint.

    >>> @explains({"lr": "write rate=0.1"})
    ... def step(rate=1.0): ...
    >>> step(lr=0.1)
    Traceback (most recent call last):
    TypeError: step() has no argument 'lr'; write rate=0.1
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            if wrong := [key for key in kwargs if key in hints]:
                raise TypeError(f"{name or function.__name__}() has no argument {wrong[0]!r}; {hints[wrong[0]]}")
            return function(*args, **kwargs)

        return called

    return decorated


def absent(module: str, name: str, names: Mapping[str, str]) -> AttributeError:
    """The error for a name that a module of this package does not have."""
    hint = f"; {names[name]}" if name in names else ""
    return AttributeError(f"module {module!r} has no attribute {name!r}{hint}", name=name)


def no_device(dtype: Any) -> None:
    """Raise TypeError for a device where a dtype is needed."""
    if (isinstance(dtype, str) and dtype.partition(":")[0] in DEVICES) or type(dtype).__name__ == "device":
        raise TypeError(f"to() takes a dtype, such as np.float64; got the device {str(dtype)!r}; {_CPU}")
