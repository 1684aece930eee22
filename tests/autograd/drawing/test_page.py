"""The pages in a real browser: stepping, folding, keys, colours, widths, and strings that would be markup."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import autograd
import nn
from autograd import Page, Tensor, draw, watch
from autograd.drawing.array_summary import summarise
from autograd.drawing.dot import copied
from browser import reader_or_skip
from graphs import leaf

ROOT = Path(__file__).parents[3]
HOSTILE = "</script><script>document.title='stolen'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def reader():
    found, driver = reader_or_skip()
    yield found
    driver.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


def network_loss():
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 8), nn.Tanh()), nn.Linear(8, 2))
    x = Tensor(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32), name="x")
    with watch():
        loss = nn.CrossEntropyLoss()(model(x), np.array([0, 1, 0, 1, 1]))
        loss.backward()
    return model, loss


@pytest.fixture(scope="module")
def steps(folder):
    model, loss = network_loss()
    return model, draw(loss, names=model).save(folder / "steps.html")


def scalars(folder, name="x"):
    x, w = leaf(3.0, name=name), leaf(2.0, name="w")
    with watch():
        loss = np.sin(x * w) + x**2
        loss.backward()
    return x, w, draw(loss).save(folder / "scalars.html")


# ---- the data, without a browser


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page.text, re.S)[1])


def test_a_page_is_self_contained_and_small(steps):
    _, path = steps
    text = path.read_text()
    assert len(text) < 300_000
    assert "http" not in re.sub(r"http://www\.w3\.org/\d+/\w+", "", text).replace("http-equiv", "")
    assert "default-src 'none'" in text


def test_steps_run_forward_through_every_op_and_back_along_every_arrow():
    model, loss = network_loss()
    data = data_of(draw(loss, names=model).page())
    phases = [step["phase"] for step in data["steps"]]
    assert phases == sorted(phases, key=["forward", "seed", "backward"].index)
    ops = [box for box in data["boxes"] if box["kind"] in ("op", "loss")]
    assert phases.count("forward") == len(ops)
    tracked = [arrow for arrow in data["arrows"] if "width" in arrow]
    assert phases.count("backward") == len(tracked) == len(autograd.trace(loss, model))
    final = {step["target"]: step for step in data["steps"] if step["phase"] == "backward"}
    assert all(step["done"] for step in final.values())
    said = {data["boxes"][place]["title"]: step["sum"] for place, step in final.items()}
    for name, parameter in model.named_parameters():
        assert said[name] == list(summarise(parameter.grad.data).lines)


def test_no_string_of_a_user_ends_the_script_that_holds_it():
    page = Page("<title>", "", {"name": HOSTILE})
    assert "</script><script>document" not in page.text and "<title><title>" not in page.text
    assert data_of(page)["name"] == HOSTILE


def test_a_notebook_shows_a_page_in_a_frame():
    frame = Page("a & b", "<p>x</p>", {})._repr_html_()
    assert frame.startswith("<iframe srcdoc=") and '<p>x</p>"' not in frame and "a &amp; b" in frame


@pytest.mark.parametrize("script", sorted(p for d in ("autograd", "nn") for p in (ROOT / d).rglob("*.js")), ids=str)
def test_scripts_parse(script):
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    subprocess.run(["node", "--check", script], check=True)


# ---- the page of steps, in a browser


def test_buttons_and_keys_step_and_the_sentence_follows(reader, steps):
    reader.open(steps[1])
    first = reader.text("#sentence")
    assert first.startswith("Forward: linear(x, 0.weight, 0.bias) = ")
    reader.click("[title='next step']")
    assert reader.text("#sentence") != first and "step 2 of" in reader.text(".player output")
    reader.press("ArrowRight")
    assert "step 3 of" in reader.text(".player output") and reader.run("return location.hash") == "#step=3"
    reader.press("ArrowLeft")
    reader.press("ArrowLeft")
    assert reader.text("#sentence") == first
    reader.press("End")
    assert reader.text("#sentence").startswith("Backward: linear takes dL/d(out) and sends")
    assert not reader.logged() and not reader.requested()


def test_the_last_step_shows_the_gradients_of_the_tensors(reader, folder):
    x, w, path = scalars(folder)
    reader.open(path).press("End")
    texts = reader.run("return [...document.querySelectorAll('.box')].map(b => [b.textContent, b.ariaLabel])")
    for name, tensor in (("x", x), ("w", w)):
        digits = summarise(tensor.grad.data).lines[0]
        assert any(text.startswith(name) and text.endswith(f"grad{digits}") for text, _ in texts)
        assert any(label.startswith(f"{name} parameter") and f"grad {digits}" in label for _, label in texts)


def test_accumulation_is_seen(reader, folder):
    _, _, path = scalars(folder)
    reader.open(path)
    count = int(reader.text(".player output").split(" of ")[1].split(",")[0])
    seen = []
    for _ in range(count):
        seen.append(
            (reader.text("#sentence"), reader.run("return document.querySelector('.box.parameter').textContent"))
        )
        reader.press("ArrowRight")
    assert any("the first of 2 contributions" in sentence and "6 (so far)" in box for sentence, box in seen)
    assert any("contribution 2 of 2" in sentence for sentence, _ in seen)


def test_the_address_holds_the_step(reader, steps):
    reader.open(steps[1], "#step=5")
    assert "step 5 of" in reader.text(".player output")


def test_playing_moves_and_pausing_stops(reader, steps):
    from selenium.webdriver.support.ui import WebDriverWait

    reader.open(steps[1]).click(".play")
    WebDriverWait(reader.driver, 10).until(lambda _: "step 3 of" in reader.text(".player output"))
    assert reader.text(".play") == "Pause"
    reader.click(".play")
    assert reader.text(".play") == "Play"


def test_modules_close_and_open(reader, steps):
    reader.open(steps[1])
    boxes = "return document.querySelectorAll('.box').length"
    all_of_them = reader.run(boxes)
    reader.click(".frame[aria-label*='2 Sequential']")
    assert reader.run(boxes) < all_of_them
    assert "2 Sequential" in reader.text(".closed")
    reader.run("document.querySelector('.closed').focus()")
    reader.press("Enter")
    assert reader.run(boxes) == all_of_them and not reader.logged()


def test_modules_that_draw_folded_are_closed_at_first(reader, folder):
    model, loss = network_loss()
    reader.open(draw(loss, names=model, depth=1).save(folder / "closed.html"))
    assert reader.run("return document.querySelectorAll('.closed').length") == 4
    reader.click(".closed")
    assert reader.run("return document.querySelectorAll('.closed').length") == 3


def test_a_step_opens_its_module_and_closes_it_when_it_leaves(reader, folder):
    model, loss = network_loss()
    picture = draw(loss, names=model, depth=1)
    path, steps = picture.save(folder / "opens.html"), data_of(picture.page())["steps"]
    paths = [call.path for call in picture.whole.calls]
    parents = [call.parent for call in picture.whole.calls]

    def around(place):
        call, found = picture.whole.boxes[place].call, set()
        while call is not None:
            found.add(call)
            call = parents[call]
        return found

    closed = {*picture.snapshot.closed}
    shut = "return [...document.querySelectorAll('.closed')].map((box) => Number(box.dataset.call))"
    reader.open(path, calm=True)
    for i, step in enumerate(steps):
        if i:
            reader.press("ArrowRight")
            inside = set().union(*(around(step[key]) for key in ("box", "target") if key in step))
            shown = {call for call in closed - inside if parents[call] is None or parents[call] not in closed - inside}
            assert {*reader.run(shut)} == shown, (i, step["text"], paths)
    reader.open(path, f"#step={next(i for i, s in enumerate(steps) if around(s['box']) & closed) + 1}")
    assert reader.run("return document.querySelectorAll('.box.now').length") >= 1 and not reader.logged()


def test_small_matrices_are_numbers_in_colour(reader, folder):
    nn.manual_seed(0)
    model = nn.Linear(3, 8)
    model.weight.assign(np.where(np.arange(24).reshape(8, 3) == 5, np.nan, model.weight.data).astype(np.float32))
    with watch():
        loss = model(np.ones((1, 3), np.float32)).sum()
    picture = draw(loss, names=model)
    reader.open(picture.save(folder / "cells.html"))
    place = next(i for i, box in enumerate(picture.snapshot.boxes) if box.title == "weight")
    texts = reader.run(
        "return [...document.querySelectorAll(`[data-box='${arguments[0]}'] .number`)].map((x) => x.textContent)", place
    )
    wanted = model.weight.data.ravel().tolist()
    read = [float(text.replace("\u2212", "-")) for text in texts]
    assert np.allclose(read, wanted, rtol=6e-3, atol=5.1e-5, equal_nan=True)
    kinds = reader.run(
        "return [...document.querySelectorAll(`[data-box='${arguments[0]}'] .cell`)].map((x) => x.classList[1])", place
    )
    assert kinds[1:] == ["bad" if np.isnan(x) else "minus" if x < 0 else "plus" for x in wanted]
    assert "overlap" not in reader.run("""
      const boxes = [...document.querySelectorAll(".number")].map((x) => x.getBoundingClientRect());
      return boxes.some((a, i) => boxes.some((b, j) => i < j && a.left < b.right && b.left < a.right
        && a.top + 2 < b.bottom && b.top + 2 < a.bottom)) ? "overlap" : "apart";""")
    assert not any(
        box.value.cells
        for box in draw(nn.Linear(9, 2)(np.ones((1, 9))).sum()).snapshot.boxes
        if box.value and box.shape and max(box.shape) > 8
    )


def test_details_show_shape_dtype_histogram_and_line(reader, steps):
    reader.open(steps[1]).press("End")
    reader.run("[...document.querySelectorAll('.box')].find(b => b.textContent.startsWith('relu')).focus()")
    details = reader.text("#details")
    assert "relu op 5x8 float32" in details and "test_page.py" in details
    assert reader.run("return document.querySelectorAll('#details .bars').length") == 2


def test_dark_and_light_differ_and_follow_the_system(reader, steps):
    colour = "return getComputedStyle(document.body).backgroundColor"
    light, dark = (reader.open(steps[1], dark=dark).run(colour) for dark in (False, True))
    assert light != dark
    reader.click(".theme")
    assert reader.run(colour) == light


def test_reduced_motion_is_honoured(reader, steps):
    moving = "return document.querySelectorAll('.moving').length"
    reader.open(steps[1], calm=False).press("End")
    assert reader.run(moving)
    reader.open(steps[1], calm=True).press("End")
    assert not reader.run(moving)


_OUTSIDE = """
return [...document.querySelectorAll('.box')].filter(box => {
  const edge = box.querySelector('rect').getBoundingClientRect();
  return [...box.querySelectorAll('text')].some(text => {
    const r = text.getBoundingClientRect();
    return r.width && (r.right > edge.right + 0.5 || r.left < edge.left || r.bottom > edge.bottom + 1.5);
  });
}).map(box => box.textContent)
"""


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overflows(reader, steps, width):
    reader.open(steps[1], width=width)
    count = int(reader.text(".player output").split(" of ")[1].split(",")[0])
    for _ in range(count):
        assert reader.overflows() <= 0
        assert reader.run(_OUTSIDE) == []
        reader.press("ArrowRight")


def test_a_hostile_name_stays_text(reader, folder):
    _, _, path = scalars(folder, HOSTILE)
    reader.open(path).press("End")
    assert reader.run("return document.title") != "stolen" and not reader.logged()
    assert any(
        "<script>" in text
        for text in reader.run("return [...document.querySelectorAll('.title')].map(t => t.textContent)")
    )


# ---- the network and the film


@pytest.fixture(scope="module")
def film(folder):
    nn.manual_seed(0)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 9)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    model = nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 2))
    recorded = nn.Film(np.abs(X[:3]) / 4, y[:3], classes=["<b>cat</b>", "dog"], image=(3, 3))
    history = nn.fit(
        model, X, y, epochs=4, optimizer=nn.SGD(model.parameters(), lr=0.1), callbacks=[recorded], progress=False,
        metrics=["accuracy"], validation=0.2,
    )  # fmt: skip
    return recorded, history, history.film(folder / "film.html")


def test_the_slider_moves_samples_network_and_words(reader, film):
    _, history, path = film
    reader.open(path)
    assert f"loss {history['loss'][-1]:.4g}"[:10] in reader.text("#film-line")
    look = (
        "return [...document.querySelectorAll('#film-network line, .walker, .track div')].map(e => e.outerHTML).join()"
    )
    last = reader.run(look)
    reader.run("document.querySelector('#film-player').focus()")
    reader.click("[title='first epoch']")
    assert reader.text("#film-line") == "before the first epoch" and reader.run(look) != last
    assert "at random" in reader.text("#film-words")
    assert "<b>cat</b>" in reader.text(".name") and not reader.run("return document.querySelectorAll('.name b').length")
    assert reader.run("return document.querySelectorAll('.sample img').length") == 3
    assert not reader.logged() and not reader.requested()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_film_fits_its_window(reader, film, width):
    reader.open(film[2], "#epoch=2", width=width)
    assert reader.overflows() <= 0 and "epoch 1 of 4" in reader.text(".player output")


def test_the_drawing_of_a_network_becomes_a_page_with_a_slider_over_epochs(reader, film, folder):
    recorded, history, _ = film
    path = nn.draw(recorded.run.model).page(history).save(folder / "epochs.html")
    reader.open(path)
    look = "return document.querySelector('#film-network').innerHTML"
    last = reader.run(look)
    reader.click("[title='first epoch']")
    assert reader.run(look) != last and not reader.logged()
    assert not reader.run("return document.querySelector('#film-samples')")


def test_the_page_of_a_network_shows_every_arrow(reader, folder):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    path = nn.draw(model, np.ones(3, np.float32)).save(folder / "network.html")
    reader.open(path)
    assert reader.run("return document.querySelectorAll('.arrows line').length") == 3 * 4 + 4 * 2
    assert reader.run("return document.querySelectorAll('.nodes circle').length") == 9 and not reader.logged()


def test_long_arrows_start_at_copies_of_their_boxes(reader, folder):
    w, u = leaf(1.0, name="w"), leaf(0.5, name="u")
    h = w * 1.0
    for i in range(40):
        h = np.tanh(h * w + u * float(i))
    picture = draw(h, run_backward=True)
    arrows, boxes = picture.whole.arrows, picture.whole.boxes
    copies = sorted(copied(boxes[start]) for start, _ in {(a.start, a.end) for a in arrows if a.cut})
    assert len(copies) > 30
    reader.open(picture.save(folder / "long.html"), "#step=9")
    assert sorted(reader.run("return [...document.querySelectorAll('.copy')].map(c => c.textContent)")) == copies
    assert reader.run("return document.querySelectorAll('#picture .forward').length") == len(arrows)
    mark = next(box.mark for box in boxes if box.title == "w")
    assert any(
        f"wparameter scalar ({mark})" in text
        for text in reader.run("return [...document.querySelectorAll('.box.parameter')].map(b => b.textContent)")
    )
    assert not reader.logged()
