"""Names that users of other libraries try, and what to write instead; and the errors that say so."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_CPU = "leave it out, or use model.to(cupy) for CuPy's arrays; without it, parameters are NumPy's, in memory"
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
    **dict.fromkeys(("device", "cuda"), _CPU),
    "DataParallel": "use nn.fit(model, X, y, comm=MPI.COMM_WORLD) under mpiexec; see docs/scale.md",
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
    "Container": "use nn.Module",
    "LinearCrossEntropyOptions": "use nn.LinearCrossEntropyLoss without it: all logits are never held at once",
    **dict.fromkeys(("RNNBase", "RNNCellBase"), "use nn.RNN, nn.LSTM or nn.GRU, or their cells"),
    "UpsamplingBilinear2d": "use nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)",
    "UpsamplingNearest2d": "use nn.Upsample(scale_factor=2, mode='nearest')",
    **dict.fromkeys(("Sampler", "BatchSampler"), "use nn.DataLoader(nn.Subset(dataset, rows), batch_size=8)"),
    "DistributedSampler": "use nn.Subset(dataset, range(rank, len(dataset), processes)) in each process",
    "ChainDataset": "use an nn.Dataset whose [i] chooses one of the others",
    "StackDataset": "use nn.TensorDataset(a, b), or an nn.Dataset whose [i] returns the parts",
    "default_convert": "use np.asarray",
    "get_worker_info": "leave it out: batches are read in this process",
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

# Names tried on `nn.functional`.
_IN_PLACE = "relu selu elu celu leaky_relu hardtanh rrelu threshold".split()
_INDICES = [f"{kind}max_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3)]
_FUNCTION = "it is not here; write it with NumPy's functions, which have gradients"
_NO_FUNCTION = """
    conv_tbc embedding_bag fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d
    fractional_max_pool3d_with_indices grouped_mm local_response_norm lp_pool1d lp_pool2d lp_pool3d max_unpool1d
    max_unpool2d max_unpool3d pdist scaled_grouped_mm scaled_mm
""".split()
_NOISE = "noise = -np.log(-np.log(np.random.default_rng(0).random(x.shape)))"
FUNCTIONAL = {
    **dict.fromkeys(_NO_FUNCTION, _FUNCTION),
    **{f"{name}_": f"use x = nn.functional.{name}(x): a recorded value never changes" for name in _IN_PLACE},
    **{f"{name}_with_indices": f"use nn.functional.{name}(x, ..., return_indices=True)" for name in _INDICES},
    "cosine_similarity": "use np.sum(F.normalize(a, dim=-1) * F.normalize(b, dim=-1), axis=-1)",
    "gumbel_softmax": f"use nn.functional.softmax((x + noise) / tau), with {_NOISE}",
    "multi_head_attention_forward": "use nn.MultiheadAttention, or nn.functional.scaled_dot_product_attention",
    "upsample": "use nn.functional.interpolate(x, scale_factor=2)",
    "upsample_bilinear": "use nn.functional.interpolate(x, scale_factor=2, mode='bilinear', align_corners=True)",
    "upsample_nearest": "use nn.functional.interpolate(x, scale_factor=2, mode='nearest')",
}
_INITS = (
    "constant dirac eye kaiming_normal kaiming_uniform normal orthogonal sparse uniform xavier_normal xavier_uniform"
)
INIT = {name: f"use nn.init.{name}_" for name in _INITS.split()}
OPTIM = {
    "SparseAdam": "use nn.Adam: gradients are whole arrays",
    "swap_in_optimizer_params_and_state": "use optimizer.load_state_dict(state) and model.load_state_dict(state)",
}
SCHEDULES = {"LRScheduler": "use nn.LambdaLR(optimizer, f), or a subclass of it"}
AVERAGES = {
    "LRScheduler": SCHEDULES["LRScheduler"],
    **{f"get_{kind}_multi_avg_fn": f"use get_{kind}_avg_fn, of one array" for kind in ("swa", "ema")},
}
RNN = {
    **dict.fromkeys(("unpad_sequence", "unpack_sequence"), "use [row[:n] for row, n in zip(padded, lengths)]"),
}

# Names tried on `nn.utils`.
_OLD = ("weight_norm", "spectral_norm")
_FUSED = ["fusion", *(f"fuse_{kind}_bn_{what}" for kind in ("conv", "linear") for what in ("eval", "weights"))]
_FORMATS = ["memory_format", *(f"convert_conv{n}d_weight_memory_format" for n in (2, 3))]
UTILS = {
    **{name: f"use nn.utils.parametrizations.{name}, whose state has other names" for name in _OLD},
    **dict.fromkeys(("remove_weight_norm", "remove_spectral_norm"), "use nn.utils.parametrize.remove_parametrizations"),
    "clip_grad_norm": "use nn.utils.clip_grad_norm_",
    "data": "use nn.DataLoader, nn.TensorDataset and the other names of nn",
    "clip_grad": "use nn.utils.clip_grad_norm_ and clip_grad_value_",
    "clip_grads_with_norm_": "use nn.utils.clip_grad_norm_(params, max_norm)",
    "get_total_norm": "use nn.utils.clip_grad_norm_(params, np.inf), which returns the norm",
    **dict.fromkeys(("parameters_to_vector", "convert_parameters"), "use np.concatenate([p.data.ravel() for p in ps])"),
    "vector_to_parameters": "use p.assign(part.reshape(p.shape)) for the parts of the vector",
    **dict.fromkeys(_FUSED, "leave it out: autograd.compile fuses what can be fused"),
    **dict.fromkeys(_FORMATS, "leave it out: an array may have any memory layout"),
    **dict.fromkeys(("skip_init", "init"), "make the layer, and write layer.load_state_dict(state)"),
    "stateless": "use nn.functional_call(module, parameters, x)",
    "prune": "use nn.utils.parametrize.register_parametrization with a module that multiplies by a mask",
}
PARAMETRIZE = {
    "cached": "read the attribute once and use the result, as every layer here does",
    "transfer_parametrizations_and_params": "use register_parametrization on the other module, and load_state_dict",
}

# Attributes tried on a Module.
MODULE = {
    "cpu": "use model.to(np), which moves parameters and buffers into memory",
    "cuda": "use model.to(cupy), which makes parameters and buffers CuPy's arrays",
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
    **dict.fromkeys(("worker_init_fn", "multiprocessing_context"), _OWN_LOADER),
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
        raise TypeError(
            f"to() takes a dtype, such as np.float64, or a library: model.to(cupy), model.to(np); got the device "
            f"{str(dtype)!r}"
        )
