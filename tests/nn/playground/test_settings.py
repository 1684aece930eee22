"""Settings: what the address of the page holds is read back, and what is out of range is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.playground.data import DATA
from nn.playground.settings import ACTIVATIONS, MOST_LAYERS, MOST_NODES, OPTIMIZERS, READERS, Settings

SETTINGS = st.builds(
    Settings,
    data=st.sampled_from(list(DATA)),
    hidden=st.lists(st.integers(1, MOST_NODES), max_size=MOST_LAYERS).map(tuple),
    activation=st.sampled_from(list(ACTIVATIONS)),
    optimizer=st.sampled_from(list(OPTIMIZERS)),
    lr=st.floats(1e-6, 1000),
    batch=st.integers(1, 200),
    decay=st.floats(0, 10),
    noise=st.floats(0, 2),
    seed=st.integers(0, 2**32 - 1),
    follow=st.integers(-1, 99),
)


@given(SETTINGS)
def test_the_address_holds_all_settings(settings):
    assert Settings.of(settings.address()) == settings


WRONG = {
    "data": "cubes", "hidden": "4,9", "activation": "step", "optimizer": "lion", "lr": 0, "batch": 2.5, "decay": -1,
    "noise": "loud", "seed": -1, "follow": 100,
}  # fmt: skip


@pytest.mark.parametrize("value", [None, "", float("nan"), float("inf"), [], {}, "1e400", "x" * 500])
@pytest.mark.parametrize("name", READERS)
def test_what_is_out_of_range_is_refused_by_name(name, value):
    for wrong in (value, WRONG[name]):
        if name == "hidden" and wrong in ("", [], {}):
            continue  # a network without hidden layers
        with pytest.raises(ValueError, match=f"^{name} is ") as error:
            Settings.of({name: wrong})
        assert len(str(error.value)) < 250


def test_what_is_no_setting_is_refused():
    with pytest.raises(ValueError, match="no setting 'lrr'; there are data, hidden"):
        Settings.of({"lrr": 1})
    with pytest.raises(TypeError, match="names and values; got list"):
        Settings.of(["lr"])
