"""Cat or dog?  Show on one page how a network learns to classify images.  `make demo` runs this.

The program draws its own cats and dogs, trains a dense network on them with SGD, follows one cat through the epochs,
compares other learning rates, and writes `cats_and_dogs.html`: layers, weights, activations, loss, gradients, the SGD
step and the epochs, with the numbers of this run.  With `--images DIR` it trains on photographs instead: a folder with
one folder of images per class.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from animals import CLASSES, SIZE, animals
from first_step import pair, plain
from story import article

import nn
from autograd import Page

HERE = Path(__file__).parent
LR, BATCH, EPOCHS = 0.001, 8, 23
TOO_SMALL, TOO_LARGE = LR / 20, LR * 50  # for comparison; the first is not too small for Adam
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


class PrintEpochs(nn.Callback):
    """Print each epoch as it ends, with the prediction for one image, and about how long the others will take."""

    def __init__(self, epochs, image):
        self.epochs, self.image, self.beliefs = epochs, image[None], []

    def on_begin(self, run):
        self.began = time.perf_counter()
        self.beliefs.append(nn.predict_proba(run.model, self.image)[0])

    def on_epoch_end(self, run):
        self.beliefs.append(nn.predict_proba(run.model, self.image)[0])
        epoch = len(run.history["loss"])
        left = (time.perf_counter() - self.began) / epoch * (self.epochs - epoch)
        loss, accuracy = run.history["val_loss"][-1], run.history["val_accuracy"][-1]
        say(
            f"  epoch {epoch:2} of {self.epochs}   held out: loss {loss:.3f}, {accuracy:6.1%} correct   "
            f"our image {pair(self.beliefs[-1])} {'#' * round(20 * self.beliefs[-1][0]):20}   {left:3.0f} s left"
        )


class PrintDots(nn.Callback):
    """Print a dot for each epoch as it ends."""

    def on_epoch_end(self, run):
        say(".", end="")


def say(text, end="\n"):
    """Print at once, also into a pipe."""
    print(text, end=end, flush=True)


def main(folder, out, epochs):
    start = time.perf_counter()
    if folder is None:
        say("Cats and dogs: 6,000 images are drawn, four networks train, and a page is written. About a minute in all.")
        say("\ndrawing 6,000 cats and dogs: about 7 s")
        images, labels = animals(6000, np.random.default_rng(0))
        classes = CLASSES
    else:
        say(f"reading the images in {folder}")
        images, labels, classes = load_folder(folder)
    images = images.reshape(len(images), -1)  # a row of 3,072 numbers for each image
    held = len(images) // 6
    X, y, held_X, held_y = images[held:], labels[held:], images[:held], labels[:held]
    say(f"{len(X):,} images to train on, {held:,} held out")

    nn.manual_seed(1)
    model = network()
    say(model)
    initial = model.state_dict()
    shown = [*np.flatnonzero(held_y == 0)[:2], *np.flatnonzero(held_y == 1)[:2]]
    ours = shown[0]
    film = nn.Film(held_X[shown], held_y[shown], classes=classes, image=IMAGE)
    printed = PrintEpochs(epochs, held_X[ours])
    say(f"\ntraining for {epochs} epochs, with SGD and the learning rate {plain(LR)}")
    say(f"our image is the first held-out {classes[0]}: its prediction is [{classes[0]}, {classes[1]}]")
    began = time.perf_counter()
    history = nn.fit(
        model, X, y, epochs=epochs, batch_size=BATCH, optimizer=nn.SGD(model.parameters(), lr=LR),
        validation=(held_X, held_y), metrics=["accuracy"], callbacks=[film, printed], progress=False,
        generator=np.random.default_rng(2),
    )  # fmt: skip

    took = time.perf_counter() - began
    say(f"\nthe same with two other learning rates, and with Adam: about {4 * took:.0f} s, a dot is an epoch")
    compared = {("SGD", LR): history["val_loss"]}
    for optimizer, lr in ((nn.SGD, TOO_SMALL), (nn.SGD, TOO_LARGE), (nn.Adam, TOO_SMALL)):
        compared[optimizer.__name__, lr] = other_run(initial, optimizer, lr, (X, y), (held_X, held_y), epochs)

    say("\nwriting the page")
    body = article(
        model=model, initial=initial, history=history, film=film, beliefs=np.stack(printed.beliefs), cat=held_X[ours],
        classes=classes, compared=compared, images=images, labels=labels, lr=LR, batch=BATCH,
    )  # fmt: skip
    data, styles = film.data(), [*film.styles, HERE / "cats_and_dogs.css"]
    out.mkdir(parents=True, exist_ok=True)
    page = Page("How a network learns to distinguish cats from dogs", body, data, styles=styles, scripts=film.scripts)
    path = page.save(out / "cats_and_dogs.html")
    final = history["val_accuracy"][-1]
    say(f"Held-out accuracy {final:.1%}; open {path} in a browser. {time.perf_counter() - start:.0f} s")
    return final


def other_run(initial, optimizer, lr, training, held_out, epochs):
    """Train from the same initial weights, with the images in the same order; return the losses on held-out images."""
    say(f"  {optimizer.__name__:4} {plain(lr):8}", end="")
    model = network()
    model.load_state_dict(initial)
    history = nn.fit(
        model, *training, epochs=epochs, batch_size=BATCH, optimizer=optimizer(model.parameters(), lr=lr),
        validation=held_out, callbacks=[PrintDots()], progress=False, generator=np.random.default_rng(2),
    )  # fmt: skip
    losses = history["val_loss"]
    say(f" held out: loss {losses[0]:.3f} -> {losses[-1]:.3f}")
    return losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="a folder with one folder of photographs for each of two classes")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the page (default: out)")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    accuracy = main(arguments.images, arguments.out, arguments.epochs)
    if arguments.images is None and arguments.epochs >= EPOCHS and accuracy < 0.95:
        raise SystemExit("the held-out accuracy is below 95%")
