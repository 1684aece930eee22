"""Show a training run as a film: the network in every epoch, on one page with a slider."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from autograd import Page, Tensor

from ..callbacks import Callback, TrainingRun
from ..inference import predict, predict_proba
from ..module import Module
from ..rows import read_part
from .block_svg import blocks_svg
from .blocks import blocks_of
from .boundary import plane_of, regions
from .columns import columns_of, flat_values, flat_weights, scales
from .health import LayerHealth, health_of, in_words
from .images import png
from .network import ASSETS, network_svg
from .surface import Surface, path_points, surface_of, surface_svg

PARTS = ("samples", "boundary", "curves", "network", "surface", "health")


class Film(Callback):
    """Record every epoch of a run, for `history.film("learning.html")`.

    The film follows `samples` (n, ...): it shows their probabilities in every epoch, beside their `labels` (n,).  If a
    sample is two numbers and labels are classes, it shows the decision boundaries too.
    `classes` are the names of the outputs, and `image` is the shape (rows, columns) or (rows, columns, 3) of a sample
    that is an image with pixels from 0 to 1.  The film keeps a reference to the weights at the end of each epoch.
    `probe` is the number of training samples used for dead units and for the loss surface.

    `page()` is the film; `body()`, `data()`, `styles` and `scripts` are its parts, for use in a larger page.
    """

    styles = (ASSETS / "network.css", ASSETS / "film.css")
    scripts = (ASSETS / "film.js",)

    def __init__(
        self,
        samples: Any,
        labels: Any = None,
        *,
        classes: Sequence[str] = (),
        image: tuple[int, ...] | None = None,
        probe: int = 256,
        max_units: int = 10,
    ) -> None:
        self.follow(samples, labels)
        self.classes, self.image, self.probe, self.max_units = classes, image, probe, max_units
        self.states: list[dict[str, Any]] = []
        self.health: list[list[LayerHealth]] = []
        self.rates: list[float] = []
        self.run: TrainingRun | None = None
        self._surface: Surface | None = None

    def follow(self, samples: Any, labels: Any = None) -> None:
        """Follow these samples, even after the run: their predictions are computed when the page is made."""
        self.samples = samples.data if isinstance(samples, Tensor) else np.asarray(samples)
        self.labels = None if labels is None else np.asarray(labels)

    def on_begin(self, run: TrainingRun) -> None:
        self.run, run.history.recording = run, self
        if not run.epoch:
            self.states, self.health, self.rates = [run.model.state_dict()], [], []

    def on_epoch_end(self, run: TrainingRun) -> str | None:
        self.health.append(health_of(run.model, self.states[-1], read_part(run.X, 0, self.probe)))
        self.rates.append(run.optimizer.lr)
        self.states.append(run.model.state_dict())
        return None

    def state_dict(self) -> dict[str, Any]:
        health = [[astuple(layer) for layer in layers] for layers in self.health]
        return {"states": list(self.states), "health": health, "rates": list(self.rates)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.health = [[LayerHealth(*layer) for layer in layers] for layers in state["health"]]

    def surface(self) -> Surface:
        """The loss around the final weights, and the path of the run."""
        if self._surface is None or len(self._surface.path) != len(self.states):
            self._surface = surface_of(self._loss_at, self.states)
        return self._surface

    # ---- the page

    def page(self, title: str = "How this network learned", parts: Sequence[str] = PARTS) -> Page:
        """Return the film as a page of these `parts`.  Raises ValueError when nothing was recorded."""
        if self.run is None or len(self.states) < 2:
            raise ValueError("the film is empty: pass callbacks=[nn.Film(samples)] to fit, and train for an epoch")
        body = f"<main><h1>{html.escape(title)}</h1>{self.body(parts=parts)}</main>"
        return Page(title, body, self.data(), styles=self.styles, scripts=self.scripts)

    def _repr_html_(self) -> str | None:
        """The film in a frame, for a notebook; None if nothing was recorded."""
        return None if self.run is None or len(self.states) < 2 else self.page()._repr_html_()

    def save(self, path: str | os.PathLike[str], title: str = "How this network learned") -> Path:
        """Write the page and return its path."""
        return self.page(title).save(path)

    def body(self, heading: str = "h2", parts: Sequence[str] = PARTS) -> str:
        """Return HTML with the player and the `parts`, each under a `heading` of this level; the script fills them."""
        made = "".join(
            f'<section class="part-{name}"><{heading}>{title}</{heading}>{part}</section>'
            for name, (title, part) in zip(parts, map(self._part, parts), strict=True) if part
        )  # fmt: skip
        return f'<div id="film-player"></div><p id="film-line" aria-live="polite"></p><div class="parts">{made}</div>'

    def _part(self, name: str) -> tuple[str, str]:
        """The title and content of a part; the content is empty if there is nothing to show."""
        if name == "samples":
            return "Predictions", '<div id="film-samples"></div>'
        if name == "boundary":
            return "Decision boundaries", '<div id="film-boundary"></div>' if self._plane() else ""
        if name == "curves":
            return "Loss and metrics", '<div id="film-curves"></div>'
        if name == "network":
            return "The network", self._drawing()
        if name == "surface":
            land = self.surface()
            return "The loss surface", (
                f"<p class='hint'>The loss on a plane in the space of all weights, through the final weights. Training "
                f"followed the orange path. This plane shows {land.held:.0%} of the path.</p>"
                f"<div class='landscape'>{surface_svg(land)}</div>"
            )
        if name == "health":
            table = '<div class="scroll"><table id="film-health"></table></div>'
            return "Health of the run", f'<ul id="film-words"></ul>{table}'
        raise ValueError(f"a film has the parts {', '.join(PARTS)}; got {name!r}")

    def _drawing(self) -> str:
        assert self.run is not None
        try:
            columns = columns_of(self.run.model, self.samples[0], self.max_units)
        except ValueError:  # the network is not a row of columns
            try:
                drawn = blocks_svg(blocks_of(self.run.model, self.samples[0]), self.classes)
            except ValueError:
                return ""
            return f"<div class='network'>{drawn}</div>"
        weights = [column.layer.weight.data for column in columns[1:] if column.layer is not None]
        drawn = network_svg(columns, weights, "weight", self.classes)
        said = "<p class='hint'>Each circle is filled by its activation for the first sample.</p>"
        return f"{said}<div class='network' id='film-network'>{drawn}</div>"

    def data(self) -> dict[str, Any]:
        """Return the data of the script, ready for JSON."""
        assert self.run is not None
        history = {name: [_number(v) for v in values] for name, values in self.run.history.items()}
        probabilities = not isinstance(self.run.y, Mapping) and self.run.y.dtype.kind in "iu"
        ask = predict_proba if probabilities else predict
        outputs, images, plane, model = [], [], self._plane(), self.run.model
        headings = self._headings()
        for _ in self._replayed(model):
            outputs.append(ask(model, self.samples))
            if plane:
                images.append(regions(plane, lambda x: predict_proba(model, x), read_part(self.run.X, 0, 1).dtype))
        return {
            "film": {
                "history": history,
                "epochs": len(self.states) - 1,
                "samples": self._samples(),
                "outputs": [[[_number(v) for v in np.ravel(row)] for row in output] for output in outputs],
                "probabilities": probabilities,
                "classes": [str(name) for name in self.classes],
                "network": self._network(),
                "boundary": plane and plane | {"images": images},
                "path": path_points(self.surface()),
                "health": [
                    {
                        "lr": rate,
                        "words": in_words(layers, rate, headings),
                        "layers": [
                            [headings.get(x.name, x.name), _number(x.gradient), _number(x.moved), x.dead]
                            for x in layers
                        ],
                    }
                    for rate, layers in zip(self.rates, self.health, strict=True)
                ],
            }
        }

    def _plane(self) -> dict[str, Any] | None:
        """The training samples and their plane, if a sample is two numbers and has a class."""
        assert self.run is not None
        if any(isinstance(part, Mapping) for part in (self.run.X, self.run.y)):
            return None
        X, y = (read_part(part, 0, self.probe) for part in (self.run.X, self.run.y))
        return plane_of(X, y)

    def _headings(self) -> dict[str, str]:
        """The headings of the layers in the picture, by the names of their modules."""
        assert self.run is not None
        try:
            return {column.name: column.heading for column in columns_of(self.run.model, self.samples[0])[1:]}
        except ValueError:
            return {}  # the network is not a row of columns

    def _samples(self) -> list[dict[str, Any]]:
        found = []
        for i, sample in enumerate(self.samples):
            said: dict[str, Any] = {}
            if self.labels is not None:
                label = self.labels[i]
                said["label"] = int(label) if self.labels.dtype.kind in "iu" else np.ravel(label).round(4).tolist()
            if self.image is not None:
                said["image"] = png(np.reshape(sample, self.image))
            found.append(said)
        return found

    def _network(self) -> list[dict[str, Any]]:
        """Per epoch, the shown weights over the largest of all epochs, and the activations, from -1 to 1."""
        assert self.run is not None
        model, found = self.run.model, []
        try:
            for state in self._replayed(model):
                columns = columns_of(model, self.samples[0], self.max_units)
                weights = flat_weights(columns, [state[f"{c.name}.weight".lstrip(".")] for c in columns[1:]])
                found.append((weights, flat_values(columns) / scales(columns)))
        except ValueError:
            return []  # the network is not a row of columns
        largest = max((float(np.abs(w[np.isfinite(w)]).max(initial=0.0)) for w, _ in found), default=1.0) or 1.0
        return [
            {"weights": [_number(v) for v in (w / largest).round(3)], "values": [_number(v) for v in a.round(3)]}
            for w, a in found
        ]

    def _replayed(self, model: Module) -> Any:
        """Load each epoch's state into the model in turn and yield it, then restore the model."""
        now = model.state_dict()
        try:
            for state in self.states:
                model.load_state_dict(state)
                yield state
        finally:
            model.load_state_dict(now)

    def _loss_at(self, weights: Mapping[str, Any]) -> float:
        assert self.run is not None
        run = self.run
        probe, labels = (read_part(part, 0, self.probe) for part in (run.X, run.y))
        now = run.model.state_dict()
        try:
            run.model.load_state_dict(weights, strict=False)
            with np.errstate(all="ignore"):
                value = run.loss(predict(run.model, probe), labels)
            return float(value.data if isinstance(value, Tensor) else value)
        finally:
            run.model.load_state_dict(now)


def _number(value: Any) -> float | None:
    """A number for JSON; None if it is not finite, because JSON has no NaN."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
