"""The page of `make demo`, from a short run on few images: what it says is what the run measured."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pytest

from browser import reader_or_skip

ROOT = Path(__file__).parents[2]
EPOCHS = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What a run printed, piece by piece; the text of its page; the arguments of the article."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "examples")
        import animals
        import cats_and_dogs

        given, printed, article = {}, [], cats_and_dogs.article
        patch.setattr(cats_and_dogs, "animals", lambda _, rng: animals.animals(150, rng))
        patch.setattr(cats_and_dogs, "article", lambda **named: given.update(named) or article(**named))
        patch.setattr("builtins.print", lambda *texts, **options: printed.append((" ".join(map(str, texts)), options)))
        out = tmp_path_factory.mktemp("demo")
        cats_and_dogs.main(None, out, EPOCHS)
        yield printed, out / "cats_and_dogs.html", given


def visible(path):
    """The body without scripts, styles, pictures and the page in its frame."""
    body = re.sub(r'srcdoc="[^"]*"', "", path.read_text().split("<body>")[1])
    return re.sub(r"<(script|style|svg)\b.*?</\1>", "", body, flags=re.DOTALL)


def test_it_says_what_it_does_and_prints_each_epoch(run):
    texts = [text.strip() for text, _ in run[0]]
    assert "About a minute" in texts[0] and texts[1].startswith("drawing")
    epochs = [text for text in texts if re.match(rf"epoch +\d of {EPOCHS} ", text)]
    assert len(epochs) == EPOCHS and all(re.search(r"\d s left$", text) for text in epochs)
    places = [
        next(i for i, t in enumerate(texts) if t.startswith(word))
        for word in ("drawing", "training", "epoch", "writing")
    ]
    assert places == sorted(places)
    assert texts.count(".") == 3 * EPOCHS  # of the runs for comparison
    assert all(options.get("flush") for _, options in run[0])  # at once, also into a pipe


def test_the_image_that_is_followed_is_in_every_section_that_speaks_of_it(run):
    parts = visible(run[1]).split("<h2>")
    assert [part[0] for part in parts[1:]] == [*"123456789"]
    speaks = [part for part in parts if "our cat" in re.sub(r"<figure.*?</figure>", "", part, flags=re.DOTALL).lower()]
    assert len(speaks) >= 8 and all(part.count("<figure class='ours'>") == 1 for part in speaks)


def test_its_numbers_are_those_of_the_run(run):
    text, given = " ".join(html.unescape(re.sub(r"<[^>]*>", "", visible(run[1]))).split()), run[2]
    beliefs, history, compared = given["beliefs"], given["history"], given["compared"]
    assert len(beliefs) == EPOCHS + 1 and np.allclose(beliefs.sum(axis=1), 1)
    for row in (beliefs[0], beliefs[1], beliefs[-1]):
        assert f"[{row[0]:.2f}, {row[1]:.2f}]" in text
    assert f"\N{MINUS SIGN}log {beliefs[0][0]:.3f} = {-np.log(beliefs[0][0]):.3f}" in text
    assert f"the loss of our cat is {-np.log(beliefs[-1][0]):.3f}" in text
    assert f"{history['val_accuracy'][-1]:.1%} after the last" in text
    for losses in compared.values():
        assert len(losses) == EPOCHS and f"{losses[-1]:.3f}" in text
    assert [name for name, _ in compared] == ["SGD", "SGD", "SGD", "Adam"]
    assert given["compared"]["SGD", given["lr"]] == history["val_loss"]  # the run itself, over all epochs


def test_its_curves_have_the_points_of_the_run(run):
    page, beliefs = run[1].read_text(), run[2]["beliefs"]
    charts = re.findall(
        r'<svg [^>]*class="chart themed".*?aria-label="([^"]*)"(.*?)</svg></?(?:div|section)', page, re.DOTALL
    )
    named = dict(charts)
    assert len(named) == 4
    relu, loss, belief, rates = (
        next(v for k, v in named.items() if word in k)
        for word in ("ReLU", "log p", "probability against epoch", "held-out")
    )
    assert len(re.findall("node [0-9]+: ", relu)) == 2
    assert f"before: {-np.log(beliefs[0][0]):.3f}" in loss and f"after: {-np.log(beliefs[-1][0]):.3f}" in loss
    assert f"[{beliefs[-1][0]:.2f}, {beliefs[-1][1]:.2f}]" in belief
    assert all(f">{name}</text>" in rates for name in ("SGD 0.001", "SGD 0.00005", "SGD 0.05", "Adam 0.00005"))


def test_it_fits_its_window_and_has_one_button(run):
    reader, driver = reader_or_skip()
    try:
        beside = (
            "const [a, b] = document.querySelectorAll('section .beside > *'); return b.offsetLeft > a.offsetLeft + 99"
        )
        inner = "return document.querySelector('iframe').contentDocument.querySelectorAll('.theme').length"
        for width in (390, 1920):
            reader.open(run[1], width=width, dark=True)
            reader.until(lambda: reader.run(inner) == 0)
            assert reader.overflows() <= 0 and reader.run(beside) == (width == 1920)
            assert not reader.logged() and not reader.requested()
    finally:
        driver.quit()
