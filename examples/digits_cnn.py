"""Train a convolutional network on handwritten digits, 1,797 scans of 8x8 pixels.

A kernel of 3x3 weights slides over the image and looks for the same small shape everywhere; pooling keeps the strongest
response of each 2x2 square, so that a digit may be a pixel off its place.  `digits.py` is the dense network beside it.
The training step is compiled.  The kernels of the first layer are printed, and the backprop graph of one batch is
written to `--out`.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from digits import load, show

import autograd
import nn
from autograd import Tensor


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding="same"),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, kernel_size=3, padding="same"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(32 * 2 * 2, 10),
    )


def main(out: Path, epochs: int = 12) -> float:
    start = time.perf_counter()
    nn.manual_seed(1)
    images, labels, held_images, held_labels = load()
    images, held_images = (x.reshape(-1, 1, 8, 8) for x in (images, held_images))  # one channel, of grey
    model = network()
    print(nn.summary(model, images[:32]))

    optimizer = nn.AdamW(model.parameters(), lr=3e-3)
    loss_of = nn.CrossEntropyLoss()

    @autograd.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    batches = nn.DataLoader(nn.TensorDataset(images, labels), batch_size=64, shuffle=True, drop_last=True)
    for epoch in range(1, epochs + 1):
        losses = [step(x, y).item() for x, y in batches]
        if epoch == 1 or epoch % 3 == 0:
            held = nn.evaluate(model, held_images, held_labels, metrics=["accuracy"])
            print(f"epoch {epoch:2}  loss {np.mean(losses):.4f}  held-out accuracy {held['accuracy']:.4f}")

    print("\nFour kernels of the first layer, from dark (negative) to light:\n")
    kernels = model[0].weight.data[:4, 0]
    levels = np.clip((kernels / abs(kernels).max() + 1) / 2 * 9, 0, 9).astype(int)
    for row in range(3):
        print("    " + "   ".join("".join("@%#*+=-:. "[n] * 2 for n in kernel[row]) for kernel in levels))

    probabilities = nn.predict_proba(model, held_images)
    sure = probabilities[np.arange(len(held_labels)), held_labels]
    hardest = int(np.argmin(sure))
    show(held_images[hardest], f"{held_labels[hardest]}, taken for a {probabilities[hardest].argmax()}")

    out.mkdir(parents=True, exist_ok=True)
    model.eval()
    with autograd.watch():
        loss = loss_of(model(Tensor(held_images[:16], name="images")), held_labels[:16])
        loss.backward()
    autograd.draw(loss, names=model).save(out / "digits_cnn_graph.svg")
    accuracy = nn.evaluate(model, held_images, held_labels, metrics=["accuracy"])["accuracy"]
    print(f"\nWrote the backprop graph to digits_cnn_graph.svg in {out}")
    print(f"Held-out accuracy {accuracy:.1%}, {time.perf_counter() - start:.1f} s")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture (default: out)")
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    if main(arguments.out, arguments.epochs) < 0.98:
        raise SystemExit("the held-out accuracy is below 98%")
