"""Train a dense network on handwritten digits, 1,797 scans of 8x8 pixels, with `nn.fit`.

Each epoch trains on every image once, in batches.  Training stops when the held-out loss has not improved for ten
epochs.  The curves, the film of the run and the backprop graph of one batch are written to `--out`.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import autograd
import nn
from autograd import Tensor


def load(seed: int = 0):
    """Load shuffled images (n, 64) with pixels from 0 to 1, and labels (n,): 1,437 to train on and 360 held out."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SystemExit("the digits come with scikit-learn: pip install 'plaingrad[examples]'") from error
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images, labels = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    return images[:1437], labels[:1437], images[1437:], labels[1437:]


def show(image, label):
    """Print an image in the terminal."""
    print(f"\nOne held-out image, a {label}:\n")
    for row in image.reshape(8, 8):
        print("    " + "".join(" .:-=+*#%@"[int(pixel * 9)] * 2 for pixel in row))


def main(out: Path, epochs: int = 60) -> float:
    start = time.perf_counter()
    nn.manual_seed(1)
    images, labels, held_images, held_labels = load()
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    print(nn.summary(model, images[:32]))

    track, film = nn.TrackPredictions(held_images), nn.Film(held_images[:6], held_labels[:6], image=(8, 8))
    history = nn.fit(
        model,
        images,
        labels,
        optimizer=nn.Adam(model.parameters(), lr=2e-3),
        epochs=epochs,
        validation=(held_images, held_labels),
        metrics=["accuracy"],
        callbacks=[nn.EarlyStopping(patience=10), track, film],
        progress=sys.stderr.isatty(),
    )
    for epoch in range(0, history.epochs, 5):
        print(f"epoch {epoch + 1:2}  " + "  ".join(f"{name} {values[epoch]:.4f}" for name, values in history.items()))
    print(history.stopped or f"all {epochs} epochs")

    # The image whose prediction changed most after the first epoch.
    right = np.stack(track.probabilities)[:, np.arange(len(held_labels)), held_labels]
    followed = int(np.argmax(right[-1] - right[0]))
    label = int(held_labels[followed])
    show(held_images[followed], label)
    print(f"\nIts predictions: the probabilities of 0, 1, ... 9, and a bar for {label}\n")
    for epoch in sorted({1, 2, 3, 5, 10, 20, history.epochs} & set(range(history.epochs + 1))):
        row = track.probabilities[epoch - 1][followed]
        print(f"  epoch {epoch:2}  {' '.join(f'{p:.2f}' for p in row)}   {'#' * round(row[label] * 30)}")

    out.mkdir(parents=True, exist_ok=True)
    history.plot().savefig(out / "digits_curves.png")
    film.follow(np.concatenate([held_images[[followed]], held_images[:5]]), [label, *held_labels[:5]])
    history.film(out / "digits.html", "Reading digits")
    model.eval()
    with autograd.watch():
        loss = nn.CrossEntropyLoss()(model(Tensor(images[:16], name="images")), labels[:16])
        loss.backward()
    autograd.draw(loss, names=model).save(out / "digits_graph.svg")
    held = nn.evaluate(model, held_images, held_labels, metrics=["accuracy"])["accuracy"]
    print(f"\nWrote curves, film and backprop graph to digits_curves.png, digits.html and digits_graph.svg in {out}")
    print(f"Held-out accuracy {held:.1%}, {time.perf_counter() - start:.1f} s")
    return held


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures (default: out)")
    parser.add_argument("--epochs", type=int, default=60)
    arguments = parser.parse_args()
    if main(arguments.out, arguments.epochs) < 0.98:
        raise SystemExit("the held-out accuracy is below 98%")
