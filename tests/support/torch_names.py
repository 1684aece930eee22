"""The public names of PyTorch's networks with their arguments, as recorded from PyTorch 2.13.

`python tests/support/torch_names.py` records them again, where PyTorch is installed.
"""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_suffix(".json")
MODULES = (
    "nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.parametrizations", "nn.utils.parametrize", "nn.utils.rnn",
    "optim", "optim.lr_scheduler", "optim.swa_utils", "utils.data",
)  # fmt: skip
_INTERNAL = (
    "torch_function assert_ DType ScalingType SwizzleType Callable Tensor native_ boolean_dispatch argument_validation "
    "runtime_validation datapipe DataPipe DataChunk guaranteed_ non_deterministic bind invert_permutation "
    "PackedSequence_ factory_kwargs common_types intrinsic modules qat quant container graph Uninitialized "
    "paque traceable swap_module copy_method"
).split()
# Functions in C, which have no signature.
_CONV, _POOL = "input weight bias stride padding", "input kernel_size stride padding ceil_mode count_include_pad"
_IN_C = {
    **{f"conv{n}d": f"{_CONV} dilation groups" for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": f"{_CONV} output_padding groups dilation" for n in (1, 2, 3)},
    **{f"avg_pool{n}d": _POOL + " divisor_override" * (n > 1) for n in (1, 2, 3)},
    "adaptive_avg_pool1d": "input output_size", "prelu": "input weight", "logsigmoid": "input",
    "gelu": "input approximate", "hardshrink": "input lambd", "softplus": "input beta threshold",
    "softshrink": "input lambd", "linear": "input weight bias", "bilinear": "input1 input2 weight bias",
    "pixel_shuffle": "input upscale_factor", "pixel_unshuffle": "input downscale_factor",
    "channel_shuffle": "input groups", "pairwise_distance": "x1 x2 p eps keepdim", "pdist": "input p",
    "cosine_similarity": "x1 x2 dim eps", "one_hot": "tensor num_classes", "conv_tbc": "input weight bias pad",
    "scaled_dot_product_attention": "query key value attn_mask dropout_p is_causal scale enable_gqa",
}  # fmt: skip


def recorded() -> dict[str, dict[str, list[str]]]:
    """{module: {name: its arguments}}."""
    names: dict[str, dict[str, list[str]]] = json.loads(PATH.read_text())
    return names


def _of(module: Any, path: str) -> dict[str, list[str]]:
    found = {}
    for name, value in vars(module).items():
        own = str(getattr(value, "__module__", None) or "torch.nn")
        if name.startswith("_") or any(word in name for word in _INTERNAL) or not own.startswith("torch"):
            continue
        if inspect.ismodule(value):
            if path in ("nn", "nn.utils", "optim") and value.__name__.startswith("torch"):
                found[name] = []
        elif callable(value) and not (path != "nn" and own in ("torch.nn.modules.module", "torch.nn.parameter")):
            same = getattr(module, f"{name}_with_indices", value)
            try:
                found[name] = [p.name for p in inspect.signature(same).parameters.values()]
            except ValueError:
                found[name] = _IN_C.get(name, "input").split()
    return dict(sorted(found.items()))


if __name__ == "__main__":
    made = {path: _of(importlib.import_module(f"torch.{path}"), path) for path in MODULES}
    PATH.write_text(json.dumps(made, indent=0, separators=(",", ":")).replace(",\n", ",").replace("\n]", "]") + "\n")
