"""Cat or dog?  Show on one page how a network learns to classify images.  `make demo` runs this.

The program draws its own cats and dogs, trains a dense network on them with SGD, follows one cat through the epochs,
and writes `cats_and_dogs.html`: layers, weights, activations, loss, gradients, the SGD step and the epochs, with the
numbers of this run.  With `--images DIR` it trains on photographs instead: a folder with one folder of images per
class.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from animals import CLASSES, SIZE, animals
from story import article, pair

import nn
from autograd import Page

HERE = Path(__file__).parent
LR, BATCH, EPOCHS, SHORT = 0.0003, 8, 56, 8  # SHORT: epochs of the runs for comparison
IMAGE = (SIZE, SIZE, 3)


def load_folder(folder):
    """Load images (n, 32, 32, 3), labels (n,) and class names from a folder with one folder per class."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not a folder")
    data = nn.ImageFolder(folder, SIZE, on_error="skip")
    for path in data.skipped:
        print(f"skipped {path}: not a readable image")
    if len(data.classes) != 2 or min(np.bincount(data.labels, minlength=2)) < 10:
        raise SystemExit(f"{folder} needs two folders with at least 10 images each; it has {', '.join(data.classes)}")
    images, labels = data.batch(np.random.default_rng(0).permutation(len(data)))
    return images, labels, data.classes


def network():
    """Return a network with 3,072 pixel values as input, two hidden layers, and two outputs: cat and dog."""
    return nn.Sequential(nn.Linear(SIZE * SIZE * 3, 64), nn.ReLU(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2))


def main(folder, out, epochs):
    start = time.perf_counter()
    if folder is None:
        print("drawing 6,000 cats and dogs")
        images, labels = animals(6000, np.random.default_rng(0))
        classes = CLASSES
    else:
        images, labels, classes = load_folder(folder)
    images = images.reshape(len(images), -1)  # a row of 3,072 numbers for each image
    held = len(images) // 6
    X, y, held_X, held_y = images[held:], labels[held:], images[:held], labels[:held]
    print(f"{len(X):,} images to train on, {held:,} held out")

    nn.manual_seed(1)
    model = network()
    print(model)
    initial = model.state_dict()
    film, track = nn.Film(held_X[:1], classes=classes, image=IMAGE), nn.TrackPredictions(held_X)
    before = nn.predict_proba(model, held_X)
    history = nn.fit(
        model, X, y, epochs=epochs, batch_size=BATCH, optimizer=nn.SGD(model.parameters(), lr=LR),
        validation=(held_X, held_y), metrics=["accuracy"], callbacks=[film, track],
        progress=sys.stderr.isatty(), generator=np.random.default_rng(2),
    )  # fmt: skip
    beliefs = np.stack([before, *track.probabilities])  # (epochs + 1, held, 2)

    # Follow the held-out image of the first class whose prediction changed most after the first epoch.
    cats = np.flatnonzero(held_y == 0)
    followed = cats[np.argmax(beliefs[-1, cats, 0] - beliefs[1, cats, 0])]
    print(f"\nThe predictions for one {classes[0]}: [{classes[0]}, {classes[1]}]\n")
    for epoch, row in enumerate(beliefs[:, followed]):
        right = "" if epoch == 0 else f"held-out accuracy {history['val_accuracy'][epoch - 1]:6.1%}"
        print(f"  epoch {epoch:2}  {pair(row)}  {'#' * round(30 * row[0]):30}  {right}")

    others = [cats[cats != followed][0], *np.flatnonzero(held_y == 1)[:2]]
    film.follow(held_X[[followed, *others]], held_y[[followed, *others]])
    print("\nthe same with other learning rates, and with Adam")
    compared = {f"SGD, lr {LR:g}": history["loss"][:SHORT]} | other_runs(initial, X, y)

    cat = held_X[followed]
    body = article(
        model=model, initial=initial, history=history, film=film, beliefs=beliefs[:, followed], cat=cat,
        classes=classes, compared=compared, images=images, labels=labels, lr=LR, batch=BATCH,
    )  # fmt: skip
    data, styles = film.data(), [*film.styles, HERE / "cats_and_dogs.css"]
    out.mkdir(parents=True, exist_ok=True)
    page = Page("How a network learns to distinguish cats from dogs", body, data, styles=styles, scripts=film.scripts)
    path = page.save(out / "cats_and_dogs.html")
    final = history["val_accuracy"][-1]
    print(f"\nHeld-out accuracy {final:.1%}; open {path} in a browser. {time.perf_counter() - start:.0f} s")
    return final


def other_runs(initial, X, y):
    """Return {name: losses} of short runs from the same initial weights, with the images in the same order."""
    found = {}
    for name, optimizer in {
        f"SGD, lr {LR / 20:g}": lambda p: nn.SGD(p, lr=LR / 20),
        f"SGD, lr {LR * 400:g}": lambda p: nn.SGD(p, lr=LR * 400),
        f"Adam, lr {LR / 3:g}": lambda p: nn.Adam(p, lr=LR / 3),
    }.items():
        model = network()
        model.load_state_dict(initial)
        history = nn.fit(
            model, X, y, epochs=SHORT, batch_size=BATCH, optimizer=optimizer(model.parameters()), progress=False,
            generator=np.random.default_rng(2),
        )  # fmt: skip
        found[name] = history["loss"]
        print(f"  {name:16} loss {history['loss'][0]:.3f} -> {history['loss'][-1]:.3f} in {SHORT} epochs")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="a folder with one folder of photographs for each of two classes")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the page (default: out)")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    accuracy = main(arguments.images, arguments.out, arguments.epochs)
    if arguments.images is None and arguments.epochs >= EPOCHS and accuracy < 0.95:
        raise SystemExit("the held-out accuracy is below 95%")
