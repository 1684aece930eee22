"""The page in a real browser: it learns, every control works, tabs are apart, and the address keeps the settings."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest
from selenium.webdriver.support.wait import WebDriverWait

import nn
from browser import reader_or_skip
from nn.playground.conversation import Conversation
from nn.playground.page import ASSETS, live_page
from nn.playground.session import STAGES
from nn.playground.settings import Settings
from playgrounds import running


@pytest.fixture(scope="module")
def served():
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    found, driver = reader_or_skip()
    yield found
    driver.quit()


@pytest.fixture
def page(browser, served):
    found = Tab(browser, served)
    yield found.open()
    assert not [line for line in browser.logged() if "favicon" not in line]
    origin = served.address.rsplit("/", 2)[0]
    assert not [
        url for url in browser.requested() if not url.startswith((origin, origin.replace("http", "ws"), "blob:"))
    ]


FIGURE = """
const terms = [...document.querySelectorAll("#figures dt")];
return terms.find((e) => e.textContent === arguments[0])?.nextSibling.textContent
"""
CLICK = "[...document.querySelectorAll('button')].find((b) => b.textContent.endsWith(arguments[0])).click()"
CHOOSE = """
const control = document.getElementById(`set-${arguments[0]}`);
control.value = arguments[1];
control.dispatchEvent(new Event("change", { bubbles: true }));
"""
CHOICES = """
return Object.fromEntries([...document.querySelectorAll("select, #set-seed")].map((c) => [c.id.slice(4), c.value]))
"""
ROWS = "return [...document.querySelectorAll('.numbers tr')].map((row) => [...row.children].map((e) => e.textContent))"
POINT = """
const plane = document.querySelector(".plane"), box = plane.getBoundingClientRect();
plane.dispatchEvent(new MouseEvent("click", { clientX: box.left + 10, clientY: box.top + 10, bubbles: true }));
"""
KEEP = """
window.kept = {};
const real = URL.createObjectURL;
URL.createObjectURL = (blob) => {
  blob.arrayBuffer().then((b) => { window.kept[blob.type] = btoa(String.fromCharCode(...new Uint8Array(b))); });
  return real(blob);
};
HTMLAnchorElement.prototype.click = () => {};
"""
NOTEBOOK = """<meta charset="utf-8"><body><script>
const held = HELD;
window.sent = [];
const model = { get: (name) => held[name], send: (message) => window.sent.push(message), off: () => {},
  on: (name, answer) => { window.answer = answer; } };
import("data:text/javascript;base64,MODULE").then((m) => m.default.render({ model, el: document.body }));
</script></body>"""
IN_FRAME = "return document.querySelector('iframe')?.contentDocument?.querySelector('#figures dd')?.textContent"


class Tab:
    """The page in a tab: what it shows, and waiting until it shows something else."""

    def __init__(self, browser, served):
        self.browser, self.served = browser, served

    def open(self, hash="", width=1280, height=900, **more):
        address = SimpleNamespace(as_uri=lambda: self.served.address)
        self.browser.open(address, hash and f"#{hash}", width, height, **more)
        self.until(lambda: self.figure("loss"))
        return self

    def until(self, true):
        return WebDriverWait(self, 30, 0.01).until(lambda _: true())

    def run(self, script, *arguments):
        return self.browser.run(script, *arguments)

    def figure(self, name):
        return self.run(FIGURE, name)

    def button(self, text):
        """Click the button whose text ends so, as a reader does: not if it is disabled."""
        self.run(CLICK, text)

    def choose(self, name, value):
        self.run(CHOOSE, name, value)

    def address(self):
        """The settings that the address holds."""
        return dict(parse_qsl(self.run("return location.hash.slice(1)")))

    def details(self):
        return self.browser.text("#details")

    def sentence(self):
        return self.browser.text("#sentence")


def test_it_learns_while_it_runs_and_stops_when_it_is_paused(page):
    page.open("data=xor&lr=0.3")
    assert "The weights are random" in page.sentence()
    page.run(
        "const pace = document.getElementById('pace'); pace.value = 'fast'; pace.dispatchEvent(new Event('change'))"
    )
    page.button("Run")
    page.until(lambda: float(page.figure("held-out accuracy").rstrip("%")) > 92)
    page.button("Pause")
    page.until(lambda: page.run("return document.querySelector('.run').textContent.includes('Run')"))
    epoch = page.figure("epoch")
    assert int(epoch) > 3 and page.run("return document.querySelectorAll('#charts polyline').length") >= 6
    page.button("Epoch")
    page.until(lambda: page.figure("epoch") == str(int(epoch) + 1))


def test_one_batch_in_four_steps_has_the_numbers_of_this_network(page):
    page.browser.click("[data-arrow='1.0.0']")
    page.until(lambda: "not computed yet" in page.details())
    seen = []
    for word in STAGES:
        page.button(word.capitalize())
        page.until(lambda word=word: page.sentence().startswith(word.capitalize()))
        assert page.run("return document.querySelector('.stages .now').dataset.stage") == word
        seen.append(page.details())
    words, numbers, _ = zip(*page.run(ROWS), strict=True)
    old, gradient, rate, new = (float(value.replace("\N{MINUS SIGN}", "-")) for value in numbers)
    assert words == ("old weight", "d(loss)/d(weight)", "learning rate \N{MULTIPLICATION SIGN} gradient", "new weight")
    assert rate == pytest.approx(0.1 * gradient, rel=1e-3) and new == pytest.approx(old - rate, abs=2e-4)
    assert "after the update" in seen[2] and "is in the network now" in seen[3]
    page.browser.click("[data-node='1.2']")
    page.until(lambda: "weighted sum = " in page.details())
    assert page.run("return document.querySelectorAll('.activation .here').length") == 1
    page.button("Batch")
    page.until(lambda: page.figure("batch") == "2/13")
    page.button("Restart")
    page.until(lambda: page.figure("batch") == "0/13")


CHOSEN = {
    "activation": "relu", "optimizer": "adam", "lr": "0.01", "batch": "32", "decay": "0.001", "noise": "0.2",
    "seed": "7",
}  # fmt: skip


def test_every_setting_reaches_the_session_and_stays_after_a_reload(page):
    page.run("document.querySelector('input[value=circles]').click()")
    page.until(lambda: page.address().get("data") == "circles")
    for name, value in CHOSEN.items():
        page.choose(name, value)
        page.until(lambda name=name, value=value: page.address().get(name) == value)
    for label, hidden in {
        "one hidden layer more": "4,3,3", "one node more in hidden layer 1": "5,3,3",
        "one node fewer in hidden layer 2": "5,2,3", "one hidden layer fewer": "5,2",
    }.items():  # fmt: skip
        page.run("document.querySelector(`[aria-label='${arguments[0]}']`).click()", label)
        page.until(lambda hidden=hidden: page.address().get("hidden") == hidden)
    before = page.address()
    page.browser.driver.refresh()
    page.until(lambda: page.figure("loss"))
    assert page.address() == before
    assert page.run(CHOICES).items() >= CHOSEN.items()
    page.button("Show the code")
    page.until(lambda: page.run("return document.querySelector('dialog').open"))
    code = page.browser.text("dialog pre")
    assert (
        'make("circles", noise=0.2, seed=7)' in code
        and "nn.Adam(model.parameters(), lr=0.01, weight_decay=0.001)" in code
    )
    assert "nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 2), nn.ReLU(), nn.Linear(2, 2)" in code
    page.button("Close")
    assert not page.run("return document.querySelector('dialog').open")


def test_a_wrong_address_and_a_wrong_seed_say_what_is_right(page):
    page.open("lr=fast")
    assert page.sentence() == "lr is a number above 0, at most 1000; got 'fast'" and page.address() == {}
    page.choose("seed", "-3")
    page.until(lambda: "seed is a whole number" in page.sentence())
    assert page.run("return document.getElementById('set-seed').value") == "0"
    page.button("Batch")
    page.until(lambda: page.sentence().startswith("Update"))


def test_another_sample_is_followed_and_held_out_points_are_shown(page):
    def shown():
        return page.browser.text("#follow-number")

    first, dots = shown(), page.run("return document.querySelectorAll('.dots .point').length")
    page.run("document.querySelector('[aria-label=\"follow the next held-out sample\"]').click()")
    page.until(lambda: shown() != first)
    page.run("document.querySelector('[aria-label=\"follow the previous held-out sample\"]').click()")
    page.until(lambda: shown() == first)
    page.run("document.getElementById('held').click()")
    assert page.run("return document.querySelectorAll('.dots .point').length") == dots + 100
    page.run(POINT)
    page.until(lambda: shown() != first)
    page.until(lambda: "This dog" in page.browser.text(".person"))  # ears down, long muzzle


def test_tabs_do_not_disturb_each_other_and_a_closed_one_stops(page):
    driver, count = page.browser.driver, page.served.app.state.open
    page.button("Epoch")
    page.until(lambda: page.figure("epoch") == "1")
    one = driver.current_window_handle
    driver.switch_to.new_window("tab")
    page.open("data=moons")
    assert page.figure("epoch") == "0"
    page.choose("optimizer", "adam")
    page.button("Run")
    page.until(lambda: int(page.figure("epoch")) > 2)
    assert page.served.app.state.open == count + 1
    driver.close()
    driver.switch_to.window(one)
    page.until(lambda: page.served.app.state.open == count)
    assert page.figure("epoch") == "1" and page.address() == {}


def test_keys_move_through_the_network_and_everything_has_a_name(page):
    page.run("document.querySelector('[data-node=\"0.0\"]').focus()")
    at = "return document.activeElement.dataset.node || document.activeElement.dataset.arrow"
    for key, where in {
        "ArrowDown": "0.1", "ArrowRight": "1.3.1", "ArrowUp": "1.3.0", "ArrowLeft": "0.1", "End": "3.0", "Home": "0.0",
    }.items():  # fmt: skip
        page.browser.press(key)
        assert page.run(at) == where, key
    assert page.run("return document.querySelectorAll('.stage [tabindex=\"0\"]').length") == 1
    page.browser.press("ArrowRight")
    page.browser.press("Enter")
    assert page.details().startswith("Weight: ears up → hidden 1, node 1")
    nodes = page.browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "combobox", "checkbox", "radio", "spinbutton", "image", "dialog"}
    found = [n for n in nodes if not n["ignored"] and n["role"]["value"] in roles]
    assert len(found) > 60
    assert [n["role"]["value"] for n in found if not n["name"].get("value")] == []
    page.button("Dark")
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    assert "loss" in page.browser.text("#live")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_and_the_colours_of_the_system(page, width, dark):
    page.open("hidden=8,8,8,8,8,8", width, 844, dark=dark, calm=True)
    page.button("Forward")
    page.until(lambda: page.sentence().startswith("Forward"))
    assert page.browser.overflows() == 0
    assert page.run("return document.querySelector('#middle > .hint').hidden") == (
        width > 390
    )  # it says that it scrolls
    assert page.run("return document.documentElement.dataset.theme") == ("dark" if dark else "light")
    assert page.run("return document.querySelectorAll('.moving').length") == 0  # less motion was asked for
    page.browser.click("[data-arrow='3.7.7']")
    page.until(lambda: "hidden 2, node 8 → hidden 3, node 8" in page.details())


def test_what_is_saved_is_the_model_and_a_page_that_works_alone(page, tmp_path):
    page.run(KEEP)
    page.button("Epoch")
    page.until(lambda: page.figure("epoch") == "1")
    page.button("Save model")
    page.button("Save page")
    page.until(lambda: page.run("return Object.keys(window.kept).length") == 2)
    kept = {kind: base64.b64decode(text) for kind, text in page.run("return window.kept").items()}
    (tmp_path / "model.npz").write_bytes(kept["application/octet-stream"])
    assert nn.load(tmp_path / "model.npz")["0.weight"].shape == (4, 2)
    (tmp_path / "saved.html").write_bytes(kept["text/html"])
    loss = page.figure("loss")
    page.browser.open(tmp_path / "saved.html")
    assert page.figure("loss") == loss and page.figure("epoch") == "1"
    page.browser.click("[data-arrow='2.0.1']")
    assert "d(loss)/d(weight)" in page.details()
    page.button("Show the code")
    assert "nn.Linear(2, 4)" in page.browser.text("dialog pre")
    assert page.browser.requested() == [] and page.browser.logged() == []


def test_the_page_works_in_the_frame_of_a_notebook(page, tmp_path):
    model = {"page": live_page(Settings(data="moons")).text}
    module = base64.b64encode((ASSETS / "notebook.mjs").read_bytes()).decode()
    held = json.dumps(model).replace("<", "\\u003c")
    (tmp_path / "notebook.html").write_text(NOTEBOOK.replace("HELD", held).replace("MODULE", module))
    page.browser.open(tmp_path / "notebook.html")
    talk = Conversation()

    def figure():
        for message in page.run("return window.sent.splice(0)"):
            for answer in talk.answer(message):
                page.run("window.answer(arguments[0])", answer)
        return page.run(IN_FRAME)

    page.until(lambda: figure() == "0")
    assert talk.session.settings == Settings(data="moons")
    page.run("document.querySelector('iframe').contentDocument.querySelector('[title^=\"one epoch\"]').click()")
    page.until(lambda: figure() == "1")
