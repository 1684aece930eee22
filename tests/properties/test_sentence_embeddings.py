"""The transformer of docs/sentence_embeddings.md, with small random weights beside BERT's formulas in plain NumPy."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from scipy.special import erf

PAGE = Path(__file__).parents[2] / "docs" / "sentence_embeddings.md"
WORDS, WIDTH, LAYERS, HEADS, INNER, PLACES = 30, 8, 2, 2, 12, 16


def checkpoint(rng):
    """Random arrays under the names of BERT's checkpoints."""
    dense = {
        "attention.self.query": (WIDTH, WIDTH), "attention.self.key": (WIDTH, WIDTH),
        "attention.self.value": (WIDTH, WIDTH), "attention.output.dense": (WIDTH, WIDTH),
        "intermediate.dense": (INNER, WIDTH), "output.dense": (WIDTH, INNER),
    }  # fmt: skip
    shapes = {f"encoder.layer.{i}.{name}": shape for i in range(LAYERS) for name, shape in dense.items()}
    tables = {"word": WORDS, "position": PLACES, "token_type": 2}
    arrays = {f"embeddings.{name}_embeddings.weight": rng.standard_normal((n, WIDTH)) for name, n in tables.items()}
    for name, (rows, columns) in shapes.items():
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = (
            rng.standard_normal((rows, columns)),
            rng.standard_normal(rows),
        )
    norms = ["embeddings.LayerNorm"]
    norms += [f"encoder.layer.{i}.{part}output.LayerNorm" for i in range(LAYERS) for part in ("attention.", "")]
    for name in norms:
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = rng.standard_normal(WIDTH), rng.standard_normal(WIDTH)
    return {name: array.astype(np.float32) for name, array in arrays.items()} | {"pooler.dense.bias": np.zeros(1)}


def bert(arrays, tokens):
    """The embedding of one sentence without padding, in float64 (Devlin et al. 2019; the mean over its tokens)."""

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12) * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

    def dense(x, name):
        return x @ arrays[f"{name}.weight"].T.astype(float) + arrays[f"{name}.bias"]

    word, place, kind = (arrays[f"embeddings.{n}_embeddings.weight"] for n in ("word", "position", "token_type"))
    x = norm(word[tokens].astype(float) + place[: len(tokens)] + kind[0], "embeddings.LayerNorm")
    for i in range(LAYERS):
        at = f"encoder.layer.{i}"
        q, k, v = (
            dense(x, f"{at}.attention.self.{n}").reshape(-1, HEADS, WIDTH // HEADS).swapaxes(0, 1)
            for n in ("query", "key", "value")
        )
        weights = np.exp(q @ k.mT / np.sqrt(WIDTH / HEADS))
        heads = (weights / weights.sum(-1, keepdims=True)) @ v
        joined = dense(heads.swapaxes(0, 1).reshape(len(tokens), WIDTH), f"{at}.attention.output.dense")
        x = norm(x + joined, f"{at}.attention.output.LayerNorm")
        h = dense(x, f"{at}.intermediate.dense")
        x = norm(x + dense(0.5 * h * (1 + erf(h / np.sqrt(2))), f"{at}.output.dense"), f"{at}.output.LayerNorm")
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_the_page_computes_what_bert_computes():
    page: dict = {}
    exec(re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1], page)
    rng = np.random.default_rng(0)
    arrays = checkpoint(rng)
    model = page["MiniLM"](WORDS, WIDTH, LAYERS, HEADS, INNER, PLACES)
    model.load_state_dict(page["renamed"](arrays))
    sentences = [rng.integers(0, WORDS, n) for n in (5, 9, 2)]

    class Padding:
        """What the page uses of a tokenizer."""

        def enable_padding(self):
            pass

        def encode_batch(self, given):
            most = max(map(len, given))
            pad = lambda row, size=most: [*row, *[0] * (size - len(row))]
            return [SimpleNamespace(ids=pad(one), attention_mask=pad([1] * len(one))) for one in given]

    found = page["embed"](model, Padding(), sentences)
    np.testing.assert_allclose(found, [bert(arrays, tokens) for tokens in sentences], atol=1e-5)
