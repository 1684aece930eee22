"""Learn to read handwritten digits: 1,797 scans of 8x8 pixels, a dense network, SGD.  `make demo` runs this.

Each epoch shows the network every training image once, in batches.  For each batch: the forward pass makes predictions,
the loss says how wrong they are, the backward pass finds d(loss)/d(weight) for every weight, and the optimiser moves
every weight a little against its gradient.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import autograd
import nn
from autograd import Tensor, no_grad


def load(seed: int = 0):
    """Images (n, 64) with pixels from 0 to 1, and labels (n,), shuffled: 1,437 to learn from and 360 held out."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SystemExit("the digits come with scikit-learn: pip install 'plaingrad[examples]'") from error
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images, labels = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    return images[:1437], labels[:1437], images[1437:], labels[1437:]


@no_grad
def probabilities(model, images):
    """What the network believes: (n, 10), each row sums to 1."""
    return nn.functional.softmax(model(images)).data


def accuracy(model, images, labels):
    return np.mean(probabilities(model, images).argmax(axis=1) == labels)


def show(image, label):
    """Draw an image in the terminal."""
    print(f"\nOne held-out image, a {label}:\n")
    for row in image.reshape(8, 8):
        print("    " + "".join(" .:-=+*#%@"[int(pixel * 9)] * 2 for pixel in row))


def bars(row, label):
    """A row of probabilities, and a bar for the right one."""
    return " ".join(f"{p:.2f}" for p in row) + f"   {'#' * round(row[label] * 30)}"


def main(out: Path, epochs: int = 30, batch_size: int = 32) -> float:
    start = time.perf_counter()
    nn.manual_seed(1)
    shuffle = np.random.default_rng(1)
    images, labels, held_images, held_labels = load()

    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    loss_of = nn.CrossEntropyLoss()
    optimizer = nn.SGD(model.parameters(), lr=0.02, momentum=0.9)
    print(model)

    beliefs = [probabilities(model, held_images)]  # one (360, 10) for every epoch, and one before the first
    print(f"\n{len(images)} images to learn from, {len(held_images)} held out\n")
    for epoch in range(1, epochs + 1):
        losses = []
        order = shuffle.permutation(len(images))
        for batch in np.array_split(order, len(order) // batch_size):
            loss = loss_of(model(images[batch]), labels[batch])  # forward
            optimizer.zero_grad()
            loss.backward()  # d(loss)/d(weight), for every weight
            optimizer.step()  # weight -= lr * gradient, with momentum
            losses.append(loss.item())
        learned, held = accuracy(model, images, labels), accuracy(model, held_images, held_labels)
        beliefs.append(probabilities(model, held_images))
        print(
            f"epoch {epoch:2}  loss {np.mean(losses):.4f}  accuracy {learned:6.1%}, held out {held:5.1%}  "
            f"{time.perf_counter() - start:4.1f} s",
            flush=True,
        )

    # The image about which the network changed its mind most after the first epoch.
    right = np.stack(beliefs)[:, np.arange(len(held_labels)), held_labels]
    followed = int(np.argmax(right[-1] - right[1]))
    label = int(held_labels[followed])
    show(held_images[followed], label)
    print(f"\nWhat the network made of it: the probabilities of 0, 1, ... 9, and a bar for {label}\n")
    for epoch in sorted({0, 1, 2, 3, 5, 10, 20, epochs} & set(range(epochs + 1))):
        print(f"  epoch {epoch:2}  {bars(beliefs[epoch][followed], label)}")

    out.mkdir(parents=True, exist_ok=True)
    with autograd.watch():
        batch = Tensor(images[:16], name="images")
        loss = loss_of(model(batch), labels[:16])
        optimizer.zero_grad()
        loss.backward()
    path = autograd.draw(loss, names=model).save(out / "digits_graph.svg")
    print(f"\nThe backprop graph of one batch is in {path}")
    print(f"Held-out accuracy {held:.1%} after {epochs} epochs, {time.perf_counter() - start:.1f} s")
    return float(held)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture (default: out)")
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    if main(arguments.out, arguments.epochs) < 0.97:
        raise SystemExit("the held-out accuracy is below 97%")
