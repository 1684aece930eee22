"""Make the pictures of the README: `make pictures`.  Screenshots are taken in a headless Chromium."""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image
from selenium.webdriver.support.wait import WebDriverWait

import nn
from autograd import Tensor, draw, watch

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent / "tests" / "support"), str(DOCS.parent / "examples")]

from animals import CLASSES, animals  # noqa: E402

from browser import Reader, chromium  # noqa: E402
from playgrounds import running  # noqa: E402


def xor():
    """Return the model and the graph of the README's example, after its second-to-last epoch."""
    nn.manual_seed(0)
    X, y = Tensor(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), name="X"), np.array([0, 1, 1, 0])
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    loss_of, optimizer = nn.CrossEntropyLoss(), nn.SGD(model.parameters(), lr=0.5)
    for _ in range(201):
        with watch():
            loss = loss_of(model(X), y)
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
    return model, draw(loss, names=model)


class Residual(nn.Module):
    def __init__(self, channels):
        self.first, self.norm = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return nn.functional.relu(self.second(nn.functional.relu(self.norm(self.first(x)))) + x)


def residual():
    """A small convolutional network with a skip."""
    nn.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), Residual(8), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(392, 2))


def cats():
    """Train a small network on cats and dogs, and return the history of the filmed run."""
    images, labels = animals(1500, np.random.default_rng(0))
    X = images.reshape(len(images), -1)
    nn.manual_seed(1)
    model = nn.Sequential(nn.Linear(X.shape[1], 16), nn.ReLU(), nn.Linear(16, 2))
    film = nn.Film(X[[3, 0]], labels[[3, 0]], classes=CLASSES, image=(32, 32, 3))
    optimizer = nn.SGD(model.parameters(), lr=0.003)
    return nn.fit(
        model, X, labels, epochs=20, batch_size=8, optimizer=optimizer, validation=0.2, metrics=["accuracy"],
        callbacks=[film], progress=False,
    )  # fmt: skip


def play(reader, path):
    """Train in the playground, stop in the middle of a batch with an arrow chosen, and save a screenshot."""
    with running() as served:
        address = SimpleNamespace(as_uri=lambda: served.address)
        reader.open(address, "#lr=0.3", 1240, 970, calm=True)
        wait = WebDriverWait(reader, 20, 0.05)
        wait.until(lambda reader: reader.text("#figures dd"))
        for _ in range(12):
            epoch = reader.text("#figures dd")
            reader.click("[aria-label^='one epoch']")
            wait.until(lambda reader, epoch=epoch: reader.text("#figures dd") != epoch)
        reader.click("[data-stage='backward']")
        reader.click("[data-arrow='1.1.0']")
        wait.until(lambda reader: reader.text("#details").startswith("Weight"))
        reader.driver.save_screenshot(str(path))
    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=160).save(path, optimize=True)  # half the size


def main():
    driver = chromium()
    if driver is None:
        raise SystemExit("screenshots need chromium and chromedriver: apt install chromium chromium-driver")
    reader, folder = Reader(driver), Path(tempfile.mkdtemp())
    model, picture = xor()
    picture.save(DOCS / "xor.svg")
    nn.draw(model, np.array([0, 1], np.float32), names=["0", "1"]).save(DOCS / "network.svg")
    nn.draw(residual(), np.zeros((3, 16, 16), np.float32), names=CLASSES).save(DOCS / "blocks.svg")
    reader.open(picture.save(folder / "steps.html"), "#step=9", 1000, 860, calm=True)
    driver.save_screenshot(str(DOCS / "steps.png"))
    reader.open(cats().film(folder / "film.html", "Cats and dogs"), "#epoch=13", 1000, 1010, calm=True)
    driver.save_screenshot(str(DOCS / "film.png"))
    play(reader, DOCS / "playground.png")
    driver.quit()


if __name__ == "__main__":
    main()
