"""Teach a transformer to spell words backwards, character by character, and look at what it attends to.

The text has lines such as `melon>nolem.`, whose words this program makes up.  The network reads all characters so far
and predicts the next one.  To continue `melon>nol` with `e` it has to look at the `e` of `melon`: attention is how.
Then it spells words that it has never read, and the table shows for one of them where it looks.
"""

import argparse
import time

import numpy as np

import autograd
import nn

CHARACTERS = ".>abcdefghijklmnopqrstuvwxyz"
LENGTH = 8  # of the longest word
TIME = 2 * LENGTH + 1  # characters that the network reads at most: a word, `>`, and the word backwards


def words(count: int, rng: np.random.Generator) -> list[str]:
    """Words of 3 to LENGTH letters, consonants and vowels in turn."""
    kinds = ["bcdfghjklmnpqrstvwxyz", "aeiou"]
    return [
        "".join(rng.choice(list(kinds[(start + i) % 2])) for i in range(rng.integers(3, LENGTH + 1)))
        for start in rng.integers(0, 2, count)
    ]


def numbers(texts: list[str]) -> np.ndarray:
    """Texts as rows of numbers, filled up with `.` to one length."""
    return np.array([[CHARACTERS.index(c) for c in text.ljust(TIME + 1, ".")] for text in texts])


class Speller(nn.Module):
    """For each character of a text, scores of what comes next; no character sees those after it."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.letters = nn.Embedding(len(CHARACTERS), width)
        self.places = nn.Embedding(TIME, width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(width))
        self.head = nn.Linear(width, len(CHARACTERS))

    def forward(self, text):
        time = text.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(time)
        return self.head(self.layers(self.letters(text) + self.places(np.arange(time)), mask, is_causal=True))


def spell(model, word: str) -> str:
    """What the model writes after `word>`, until a full stop."""
    text = f"{word}>"
    while len(text) < TIME and not text.endswith("."):
        scores = model(np.array([[CHARACTERS.index(c) for c in text]])).data[0, -1]
        text += CHARACTERS[scores.argmax()]
    return text.partition(">")[2].rstrip(".")


def attention(model, text: str) -> np.ndarray:
    """How much each character attends to each before it, the most of all heads and layers."""
    x = model.letters(numbers([text])[:, : len(text)]) + model.places(np.arange(len(text)))
    mask, most = nn.Transformer.generate_square_subsequent_mask(len(text)), np.zeros((len(text), len(text)))
    for layer in model.layers.layers:
        normed = layer.norm1(x)
        _, weights = layer.self_attn(normed, normed, normed, attn_mask=mask, average_attn_weights=False)
        most, x = np.maximum(most, weights.data[0].max(axis=0)), layer(x, mask, is_causal=True)
    return most


def main(steps: int = 400) -> float:
    start = time.perf_counter()
    nn.manual_seed(0)
    rng = np.random.default_rng(0)
    read = words(4000, rng)
    text = numbers([f"{word}>{word[::-1]}." for word in read])
    model = Speller()
    print(nn.summary(model, text[:1, :-1]))
    optimizer = nn.AdamW(model.parameters(), lr=3e-3)
    schedule = nn.OneCycleLR(optimizer, 3e-3, steps)
    told = np.cumsum(text == CHARACTERS.index(">"), axis=1)[:, :-1] == 1  # what follows `>` can be known

    @autograd.compile
    def step(rows, told):
        optimizer.zero_grad()
        losses = nn.functional.cross_entropy(model(rows[:, :-1]).mT, rows[:, 1:], reduction="none")
        loss = (losses * told).sum() / told.sum()
        loss.backward()
        nn.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    for k in range(1, steps + 1):
        chosen = rng.integers(len(text), size=64)
        loss = step(text[chosen], told[chosen].astype(np.float32))
        schedule.step()
        if k == 1 or k % 100 == 0:
            print(f"step {k:4}  loss {loss.item():.3f}")

    model.eval()
    fresh = [word for word in words(220, rng) if word not in set(read)][:200]
    with autograd.no_grad():
        spelt = [spell(model, word) for word in fresh]
        word = max(fresh, key=len)
        line = f"{word}>{word[::-1]}"
        looks = attention(model, line)
    print("\nWords that it had never read:\n")
    for one, other in list(zip(fresh, spelt, strict=True))[:6]:
        print(f"    {one}>{other}{'' if other == one[::-1] else '   (not right)'}")
    print(f"\nBefore it writes a letter of {word!r} it looks most at\n")
    for i in range(len(word), len(line) - 1):
        place = int(looks[i, : len(word)].argmax())
        print(f"    {line[i + 1]}: {word[:place]}[{word[place]}]{word[place + 1 :]}  with weight {looks[i, place]:.2f}")
    right = float(np.mean([other == one[::-1] for one, other in zip(fresh, spelt, strict=True)]))
    print(f"\n{right:.1%} of {len(fresh)} words are right, {time.perf_counter() - start:.1f} s")
    return right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="not used: this example writes no file")
    parser.add_argument("--steps", type=int, default=400)
    if main(parser.parse_args().steps) < 0.75:
        raise SystemExit("less than 75% of the words are right")
