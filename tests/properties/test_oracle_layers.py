"""Layers beside PyTorch's, with the same state: names and shapes, values and gradients, for random options."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import nn
import nn.functional as F
from autograd import Tensor

torch = pytest.importorskip("torch")
CASES = 100
pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch warns of slow paths


def option(rng, *choices):
    return choices[rng.integers(len(choices))]


def sizes(rng, low, high, axes):
    return tuple(map(int, rng.integers(low, high, axes)))


def flat(result):
    parts = result if isinstance(result, tuple | list) else (result,)
    return [y for part in parts for y in (flat(part) if isinstance(part, tuple | list) else [part])]


def agree(mine, theirs, inputs, call=lambda layer, *x: layer(*x)):
    """Compare a layer with PyTorch's in its state, results and gradients; False if both refuse the inputs."""
    ours, other = mine.state_dict(), theirs.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: tuple(v.shape) for k, v in other.items()}
    assert list(ours) == list(other)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.items()})
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    of_torch = [torch.tensor(x, requires_grad=True) for x in inputs]
    try:
        expected = flat(call(theirs, *of_torch))
    except RuntimeError as error:
        if "smaller than kernel size" in str(error):  # AvgPool3d forgets the padding
            return False
        with pytest.raises(ValueError):  # noqa: PT011 (each refusal has a test of its own)
            call(mine, *leaves)
        return False
    rng, loss, other_loss = np.random.default_rng(0), 0.0, 0.0
    for y, z in zip(flat(call(mine, *leaves)), expected, strict=True):
        found = getattr(y, "data", y)
        np.testing.assert_allclose(found, z.detach().numpy(), rtol=1e-9, atol=1e-9)
        if z.requires_grad:
            g = rng.normal(size=found.shape)
            loss, other_loss = loss + np.sum(y * g), other_loss + (z * torch.tensor(g)).sum()
    mine.zero_grad()
    theirs.zero_grad()
    loss.backward()
    other_loss.backward()
    for a, b in zip(leaves, of_torch, strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-8, atol=1e-8)
    named = dict(theirs.named_parameters())
    for name, p in mine.named_parameters():
        np.testing.assert_allclose(p.grad.data, named[name].grad.numpy(), rtol=1e-8, atol=1e-8, err_msg=name)
    for name, array in mine.state_dict().items():
        np.testing.assert_allclose(array, theirs.state_dict()[name].numpy(), rtol=1e-9, err_msg=name)
    return True


def both(name, *args, **options):
    return getattr(nn, name)(*args, dtype=np.float64, **options), getattr(torch.nn, name)(*args, **options).double()


def test_convolutions():
    rng, compared = np.random.default_rng(0), 0
    for _ in range(CASES):
        axes, transposed, groups = int(rng.integers(1, 4)), rng.random() < 0.4, int(option(rng, 1, 1, 2, 3))
        channels = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
        dilation, stride = int(rng.integers(1, 3)), int(rng.integers(1, 4))
        options = {"stride": stride, "groups": groups, "dilation": dilation, "bias": bool(rng.random() < 0.5)}
        if transposed:
            options |= {"padding": int(rng.integers(2)), "output_padding": int(rng.integers(max(stride, dilation)))}
        else:
            options["padding"] = option(rng, 0, 1, 2, "valid", *(["same"] if stride == 1 else []))
            options["padding_mode"] = option(rng, "zeros", "reflect", "replicate", "circular")
        mine, theirs = both(f"Conv{'Transpose' * transposed}{axes}d", *channels, sizes(rng, 1, 4, axes), **options)
        x = rng.normal(size=(2, channels[0], *sizes(rng, 4, 9, axes)))
        compared += agree(mine, theirs, [x if rng.random() < 0.8 else x[0]])
    assert compared > CASES * 0.8


def test_pooling():
    rng, compared = np.random.default_rng(0), 0
    for _ in range(CASES):
        axes = int(rng.integers(1, 4))
        x = rng.normal(size=((2, 3) if rng.random() < 0.7 else (3,)) + sizes(rng, 1, 9, axes))
        kernel = sizes(rng, 1, 4, axes) if rng.random() < 0.5 else int(rng.integers(1, 4))
        stride, padding = option(rng, None, 1, 2, 3, sizes(rng, 1, 4, axes)), int(rng.integers(2))
        options = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": bool(rng.random() < 0.5)}
        more = {"dilation": 1 if padding else int(rng.integers(1, 3)), "return_indices": True}
        size = sizes(rng, 1, 5, axes)
        for name, given in (
            ("MaxPool", options | more),
            ("AvgPool", options | {"count_include_pad": bool(rng.random() < 0.5)}),
            ("AdaptiveAvgPool", {"output_size": size if axes > 1 else size[0]}),
            ("AdaptiveMaxPool", {"output_size": size if axes > 1 else size[0]}),
        ):
            kinds = [getattr(module, f"{name}{axes}d")(**given) for module in (nn, torch.nn)]
            compared += agree(*kinds, [x])
    assert compared > CASES * 2


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_norms(axes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, *(5, 2, 3)[:axes]))
    for affine, tracked, momentum, training in itertools.product(
        [True, False], [True, False], [0.1, None], [True, False]
    ):
        for name in (f"BatchNorm{axes}d", f"InstanceNorm{axes}d"):
            if momentum is None and "Instance" in name:
                continue
            options = {"affine": affine, "track_running_stats": tracked, "momentum": momentum}
            mine, theirs = both(name, 4, **options)
            agree(mine, theirs, [x])
            agree(mine.train(training), theirs.train(training), [x])
        agree(*both("GroupNorm", 2, 4, affine=affine), [x])
        agree(*both("LayerNorm", x.shape[2:], elementwise_affine=affine), [x])
        agree(*both("RMSNorm", x.shape[2:], elementwise_affine=affine), [x])


@pytest.mark.parametrize(("kind", "proj_size"), [("RNN", 0), ("LSTM", 0), ("LSTM", 2), ("GRU", 0)])
def test_recurrent_layers(kind, proj_size):
    rng = np.random.default_rng(0)
    pair, more = kind == "LSTM", {"proj_size": proj_size} if proj_size else {}
    for layers, both_ways, batch_first, bias, packed, given in itertools.product(
        [1, 2], [False, True], [False, True], [True, False], [False, True], [False, True]
    ):
        mine, theirs = both(kind, 3, 4, layers, bias=bias, batch_first=batch_first, bidirectional=both_ways, **more)
        x = rng.normal(size=(5, 6, 3))
        n, steps = (5, 6) if batch_first else (6, 5)
        widths = [proj_size or 4, *([4] if pair else [])] if given else []
        states = [rng.normal(size=(layers * (1 + both_ways), n, width)) for width in widths]
        lengths = rng.integers(1, steps + 1, size=n)
        lengths[0] = steps

        def call(layer, x, *states, packed=packed, lengths=lengths, batch_first=batch_first):
            state = (tuple(states) if pair else states[0],) if states else ()
            if not packed:
                return layer(x, *state)
            if isinstance(x, Tensor):
                y, last = layer(nn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False), *state)
                return nn.pad_packed_sequence(y, batch_first)[0], last
            utils = torch.nn.utils.rnn
            y, last = layer(utils.pack_padded_sequence(x, torch.tensor(lengths), batch_first, False), *state)
            return utils.pad_packed_sequence(y, batch_first)[0], last

        assert agree(mine, theirs, [x, *states], call)
    for bias in (True, False):
        agree(*both(kind + "Cell", 3, 4, bias), [rng.normal(size=(2, 3))])


def test_attention():
    rng = np.random.default_rng(0)
    kinds = [{}, {"kdim": 5, "vdim": 6}, {"add_bias_kv": True}, {"add_zero_attn": True, "add_bias_kv": True, "kdim": 5}]
    for batch_first, widths, mask, average in itertools.product([0, 1], kinds, range(4), [0, 1]):
        mine, theirs = both("MultiheadAttention", 8, 2, batch_first=bool(batch_first), **widths)
        n, length, keys = 3, 4, 5
        shapes = [(n, length, 8), (n, keys, widths.get("kdim", 8)), (n, keys, widths.get("vdim", 8))]
        inputs = [rng.normal(size=s if batch_first else (s[1], s[0], s[2])) for s in shapes]
        padding = np.zeros((n, keys), bool)
        padding[:, -1] = True
        masks = {
            "key_padding_mask": padding if mask & 1 else None,
            "attn_mask": np.triu(np.ones((length, keys), bool), 1) if mask & 2 else None,
        }

        def call(layer, *x, masks=masks, average=bool(average)):
            made = (
                masks
                if isinstance(x[0], Tensor)
                else {k: v if v is None else torch.tensor(v) for k, v in masks.items()}
            )
            return layer(*x, **made, average_attn_weights=average)

        assert agree(mine, theirs, inputs, call)


def test_transformers():
    rng = np.random.default_rng(0)
    for norm_first, activation, batch_first, bias in itertools.product([0, 1], ["relu", "gelu"], [0, 1], [0, 1]):
        options = {"norm_first": bool(norm_first), "batch_first": bool(batch_first), "bias": bool(bias)}
        mine, theirs = both("Transformer", 8, 2, 2, 2, 16, 0.0, activation, **options)
        src, tgt = rng.normal(size=(3, 4, 8)), rng.normal(size=(3, 4, 8))
        mask = nn.Transformer.generate_square_subsequent_mask(4 if batch_first else 3)

        def call(layer, src, tgt, mask=mask):
            return layer(src, tgt, tgt_mask=mask if isinstance(src, Tensor) else torch.tensor(mask).double())

        assert agree(mine, theirs, [src, tgt], call)


def test_functions():
    rng, to = np.random.default_rng(0), torch.tensor
    for mask, shared in itertools.product([None, "bool", "number"], [False, True]):
        heads = 2 if shared else 4
        q, k, v = rng.normal(size=(2, 4, 5, 3)), rng.normal(size=(2, heads, 6, 3)), rng.normal(size=(2, heads, 6, 7))
        m = {
            None: None,
            "bool": (rng.random((5, 6)) < 0.7) | np.eye(5, 6, dtype=bool),
            "number": rng.normal(size=(5, 6)),
        }[mask]
        found = F.scaled_dot_product_attention(q, k, v, m, enable_gqa=shared)
        expected = torch.nn.functional.scaled_dot_product_attention(
            to(q), to(k), to(v), None if m is None else to(m), enable_gqa=shared
        )
        np.testing.assert_allclose(found, expected.numpy())
    x = rng.normal(size=(2, 12, 4, 4))
    for name, arg in (("pixel_shuffle", 2), ("pixel_unshuffle", 2), ("normalize", 1.5)):
        expected = getattr(torch.nn.functional, name)(to(x), arg).numpy()
        np.testing.assert_allclose(getattr(F, name)(x, arg), expected)
