"""Teach a GRU to write sentences, character by character, from text that this program writes.

The sentences are such as `the cat that sees the dogs sleeps.`, where each verb agrees with its noun: the last one with
a noun that may be twenty characters back.  The network reads one character at a time and predicts the next; what it has
read is in the state of its GRU.  Nothing tells it what words or nouns are.  Then it writes by itself, and a regular
expression checks its grammar.
"""

import argparse
import re
import time

import numpy as np

import autograd
import nn

NOUNS = "cat dog bird frog"
VERBS = "run sleep sing"
SEEING = "see hear"
CHARACTERS = "\n .abcdefghijklmnopqrstuvwxyz"


def sentence(rng: np.random.Generator) -> str:
    def noun(plural):
        return f"the {rng.choice(NOUNS.split())}{'s' * plural}"

    def verb(words, plural):
        return f"{rng.choice(words.split())}{'s' * (not plural)}"

    plural = bool(rng.integers(2))
    clause = f" that {verb(SEEING, plural)} {noun(bool(rng.integers(2)))}" if rng.random() < 0.5 else ""
    return f"{noun(plural)}{clause} {verb(VERBS, plural)}.\n"


def is_right(line: str) -> bool:
    """Whether a sentence has the form of `sentence`, and its verbs agree with its first noun."""
    noun, verb, seeing = (words.replace(" ", "|") for words in (NOUNS, VERBS, SEEING))
    one = rf"the ({noun})( that ({seeing})s the ({noun})s?)? ({verb})s\."
    many = rf"the ({noun})s( that ({seeing}) the ({noun})s?)? ({verb})\."
    return bool(re.fullmatch(f"{one}|{many}", line))


class Writer(nn.Module):
    """For each character of a text, scores of what comes next; and the state in which the text ends."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.embedding = nn.Embedding(len(CHARACTERS), 16)
        self.gru = nn.GRU(16, width, batch_first=True)
        self.head = nn.Linear(width, len(CHARACTERS))

    def forward(self, text, state=None):
        hidden, state = self.gru(self.embedding(text), state)
        return self.head(hidden), state


def write(model, count: int, rng: np.random.Generator) -> list[str]:
    """`count` sentences, each character drawn with the probability that the model gives it."""
    characters, state, text = np.zeros((count, 1), int), None, []
    for _ in range(60):
        scores, state = model(characters, state)
        shares = np.cumsum(nn.functional.softmax(scores.data[:, 0].astype(float)), axis=1)
        characters = (shares[:, :-1] < rng.random((count, 1))).sum(axis=1, keepdims=True)
        text.append(characters[:, 0])
    lines = ["".join(CHARACTERS[k] for k in row) for row in np.transpose(text)]
    return [line.partition("\n")[0] for line in lines]


def main(steps: int = 900) -> float:
    start = time.perf_counter()
    nn.manual_seed(0)
    rng = np.random.default_rng(0)
    text = "".join(sentence(rng) for _ in range(3000))
    numbers = np.array([CHARACTERS.index(character) for character in text])
    print(text[:200])

    model = Writer()
    print(nn.summary(model, numbers[None, :40]))
    optimizer = nn.Adam(model.parameters(), lr=1e-2)
    schedule = nn.CosineAnnealingLR(optimizer, steps)
    loss_of = nn.CrossEntropyLoss()
    for k in range(1, steps + 1):
        rows = rng.integers(len(numbers) - 41, size=(32, 1)) + np.arange(41)
        optimizer.zero_grad()
        scores, _ = model(numbers[rows[:, :-1]])
        loss = loss_of(scores.reshape(-1, len(CHARACTERS)), numbers[rows[:, 1:]].reshape(-1))
        loss.backward()
        nn.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if k == 1 or k % 150 == 0:
            print(f"step {k:4}  loss {loss.item():.3f}")

    model.eval()
    with autograd.no_grad():
        lines = write(model, 200, rng)
    print("\nSentences that it wrote:\n")
    for line in lines[:8]:
        print(f"    {line}{'' if is_right(line) else '   (not right)'}")
    right = float(np.mean([is_right(line) for line in lines]))
    print(f"\n{right:.1%} of {len(lines)} sentences are right, {time.perf_counter() - start:.1f} s")
    return right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="not used: this example writes no file")
    parser.add_argument("--steps", type=int, default=900)
    if main(parser.parse_args().steps) < 0.75:
        raise SystemExit("less than 75% of the sentences are right")
