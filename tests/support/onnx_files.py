"""Files written by nn.onnx, and what onnxruntime computes from them."""

from __future__ import annotations

from typing import Any

import numpy as np

import nn


def flat(result: Any) -> list[Any]:
    """The arrays of what a model returned."""
    if isinstance(result, tuple | list):
        return [array for part in result for array in flat(part)]
    return [np.asarray(getattr(result, "data", result))]


def run(path: Any, inputs: Any) -> list[Any]:
    """The outputs that onnxruntime computes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {own.name: x for own, x in zip(session.get_inputs(), inputs, strict=True)})


def near(found: Any, wanted: Any) -> None:
    """Assert that arrays are equal up to the rounding of float32."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        size = np.abs(b[np.isfinite(b)]).max(initial=1.0) if b.size and b.dtype.kind == "f" else 1.0
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=3e-6 * size)


def saved(model: Any, path: Any, *samples: Any, **options: Any) -> Any:
    """Save the model with the first sample; check it on all in onnxruntime and as `load` reads it, and return that."""
    nn.onnx.save(model, path, samples[0], **options)
    loaded = nn.onnx.load(path)
    model.eval()
    for sample in samples:
        inputs = sample if isinstance(sample, tuple) else (sample,)
        wanted = flat(model(*inputs))
        near(run(path, inputs), wanted)
        near(flat(loaded(*inputs)), wanted)
    return loaded
