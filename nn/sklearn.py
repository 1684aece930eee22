"""Networks as scikit-learn estimators: NeuralNetClassifier and NeuralNetRegressor (extra `sklearn`).

They work with Pipeline, GridSearchCV, cross_val_score, clone and pickle, as scikit-learn's own do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from . import optim
from .activations import ReLU
from .containers import Sequential
from .data import TensorDataset
from .functional import softmax
from .history import History
from .inference import predict
from .init import manual_seed
from .layers import Linear
from .losses import CrossEntropyLoss, MSELoss
from .module import Module
from .training import fit

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.class_weight import compute_sample_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("nn.sklearn needs scikit-learn: pip install plaingrad[sklearn]") from error


class _Rows(TensorDataset):
    """Rows whose first array is converted to `dtype` batch by batch, so that data on disk stays there."""

    def __init__(self, dtype: Any, *arrays: Any) -> None:
        super().__init__(*arrays)
        self.dtype = dtype

    def batch(self, rows: Any) -> tuple[Any, ...]:
        x, *rest = super().batch(rows)
        return x.astype(self.dtype, copy=False), *rest


class _Weighted:
    """The mean of weights times losses; `loss` gives one per sample, or one per number that a sample predicts."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def __call__(self, predictions: Any, y: Any) -> Any:
        each = self.loss(predictions, y["label"])
        return ((each.mean(axis=1) if each.ndim == 2 else each) * y["weight"]).mean()


class _NeuralNet(BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Base of both estimators.

    `module` is a function (n_features, n_outputs) -> Module, a Module (a copy is trained), or None for two dense layers
    with `hidden` nodes between.  `optimizer` is a class of nn, or its name, and gets `lr`.  `random_state` decides the
    initial weights and the order of the samples.  X is not scaled.

    `sample_weight` (n,) multiplies the loss of each sample, after division by its mean; samples of weight 0 are left
    out.  In batches, a weight of 2 is close to a sample given twice; in one batch of float64, it is equal.
    """

    _loss: Any  # the class of the loss

    def __init__(
        self,
        module: Module | Callable[[int, int], Module] | None = None,
        *,
        hidden: int = 64,
        optimizer: str | type[optim.Optimizer] = "Adam",
        lr: float = 1e-2,
        epochs: int = 100,
        batch_size: int = 32,
        callbacks: Any = (),
        random_state: Any = None,
    ) -> None:
        self.module, self.hidden, self.optimizer, self.lr = module, hidden, optimizer, lr
        self.epochs, self.batch_size, self.callbacks, self.random_state = epochs, batch_size, callbacks, random_state

    def _begin(self, features: int, outputs: int) -> None:
        """Make a new network, its optimiser and its random numbers."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if isinstance(self.module, Module):
            model = copy.deepcopy(self.module)
        else:
            manual_seed(seed)
            model = self.module(features, outputs) if self.module else self._default(features, outputs)
        kind = getattr(optim, self.optimizer) if isinstance(self.optimizer, str) else self.optimizer
        self.module_, self.history_, self.n_iter_ = model, History(), 0
        self._optimizer, self._rng = kind(model.parameters(), lr=self.lr), np.random.default_rng(seed)

    def _train(self, X: Any, y: Any, weight: Any, epochs: int, callbacks: Any) -> History:
        """Train the network for some more epochs."""
        dtype = self._dtype(self.module_)
        loss: Any = self._loss()
        if weight is not None:
            kept = np.flatnonzero(weight)
            if len(kept) < len(weight):
                X, y, weight = X[kept], y[kept], weight[kept]
            y = {"label": y, "weight": (weight / weight.mean()).astype(dtype)}
            loss = _Weighted(self._loss(reduction="none"))
        history = fit(
            self.module_, _Rows(dtype, X, y), loss=loss, optimizer=self._optimizer, epochs=epochs,
            batch_size=self.batch_size, callbacks=callbacks, progress=False, generator=self._rng,
        )  # fmt: skip
        self.n_iter_ += history.epochs
        return history

    def _train_anew(self, X: Any, y: Any, outputs: int, weight: Any) -> None:
        self._begin(X.shape[1], outputs)
        self.history_ = self._train(X, y, weight, self.epochs, [copy.deepcopy(c) for c in self.callbacks])

    def _train_on(self, X: Any, y: Any, outputs: int, weight: Any) -> None:
        """One more epoch, of a new network if there is none."""
        if not hasattr(self, "module_"):
            self._begin(X.shape[1], outputs)
        self.history_.add({name: column[-1] for name, column in self._train(X, y, weight, 1, []).items()})

    @staticmethod
    def _weights(sample_weight: Any, X: Any) -> Any:
        return None if sample_weight is None else _check_sample_weight(sample_weight, X, ensure_non_negative=True)

    def _default(self, features: int, outputs: int) -> Module:
        return Sequential(Linear(features, self.hidden), ReLU(), Linear(self.hidden, outputs))

    @staticmethod
    def _dtype(model: Module) -> Any:
        return next((p.dtype for p in model.parameters()), np.dtype(np.float32))

    def _outputs(self, X: Any) -> Any:
        check_is_fitted(self, "module_")
        X = validate_data(self, X, reset=False)
        return predict(self.module_, _Rows(self._dtype(self.module_), X))


class NeuralNetClassifier(ClassifierMixin, _NeuralNet):  # type: ignore[misc]  # scikit-learn is untyped
    """A network that predicts classes, trained with cross-entropy; labels may be of any type that sorts.

    `class_weight` is {label: weight} or "balanced", as in scikit-learn; it multiplies `sample_weight`.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> NeuralNetClassifier(epochs=60, random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    _loss = CrossEntropyLoss

    def __init__(
        self,
        module: Module | Callable[[int, int], Module] | None = None,
        *,
        hidden: int = 64,
        optimizer: str | type[optim.Optimizer] = "Adam",
        lr: float = 1e-2,
        epochs: int = 100,
        batch_size: int = 32,
        callbacks: Any = (),
        random_state: Any = None,
        class_weight: Any = None,
    ) -> None:
        super().__init__(
            module, hidden=hidden, optimizer=optimizer, lr=lr, epochs=epochs, batch_size=batch_size,
            callbacks=callbacks, random_state=random_state,
        )  # fmt: skip
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralNetClassifier:
        """Train on X (n, features) with labels y (n,) and weights (n,)."""
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        weight = self._weights_by_class(sample_weight, X, y)
        self._train_anew(X, labels, max(2, len(self.classes_)), weight)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> NeuralNetClassifier:
        """Train for one more epoch, on these samples; the first call takes all `classes`.  No callback is called.

        Raises ValueError for a label that is not among the classes, and for class_weight="balanced", which needs all
        labels at once.
        """
        first = not hasattr(self, "module_")
        X, y = validate_data(self, X, y, reset=first)
        check_classification_targets(y)
        if self.class_weight == "balanced":
            raise ValueError("class_weight='balanced' needs all labels at once; give partial_fit a dict of weights")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call of partial_fit: all labels that will come")
        if not first and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes were {self.classes_} in the first call, and now {np.unique(classes)}")
        known = np.unique(classes) if first else self.classes_
        if other := sorted(set(np.unique(y).tolist()) - set(known.tolist())):
            raise ValueError(f"label {other[0]!r} is not among the classes {known.tolist()}")
        self.classes_ = known
        weight = self._weights_by_class(sample_weight, X, y)
        self._train_on(X, np.searchsorted(known, y), max(2, len(known)), weight)
        return self

    def _weights_by_class(self, sample_weight: Any, X: Any, y: Any) -> Any:
        weight = self._weights(sample_weight, X)
        if self.class_weight is None:
            return weight
        return compute_sample_weight(self.class_weight, y) * (1.0 if weight is None else weight)

    def predict_proba(self, X: Any) -> Any:
        """The probability of every class (n, classes), in the order of `classes_`."""
        outputs = self._outputs(X).astype(np.float64)
        return softmax(outputs[:, : len(self.classes_)])

    def predict(self, X: Any) -> Any:
        """The most probable class (n,)."""
        best = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[best]


class NeuralNetRegressor(RegressorMixin, _NeuralNet):  # type: ignore[misc]  # scikit-learn is untyped
    """A network that predicts numbers, trained with the mean squared error; y (n,) or (n, outputs).

    y is standardised for training, and predictions are in its units.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> NeuralNetRegressor(epochs=30, random_state=0).fit(X, y).score(X, y) > 0.5
    True
    """

    _loss = MSELoss

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralNetRegressor:
        """Train on X (n, features) with targets y (n,) or (n, outputs) and weights (n,)."""
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True)
        weight = self._weights(sample_weight, X)
        self._measure(y, weight)
        self._train_anew(X, self._scaled(y), len(self._mean), weight)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralNetRegressor:
        """Train for one more epoch, on these samples; y stays scaled as in the first call.  No callback is called."""
        first = not hasattr(self, "module_")
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, reset=first)
        weight = self._weights(sample_weight, X)
        if first:
            self._measure(y, weight)
        elif y.reshape(len(y), -1).shape[1] != len(self._mean):
            raise ValueError(f"y had {len(self._mean)} outputs in the first call, and now has shape {y.shape}")
        self._train_on(X, self._scaled(y), len(self._mean), weight)
        return self

    def _measure(self, y: Any, weight: Any) -> None:
        """The mean and spread of y, by which it is scaled."""
        self._flat = y.ndim == 1
        rows = y.reshape(len(y), -1).astype(np.float64)
        if weight is None or not weight.any():
            self._mean, spread = rows.mean(axis=0), rows.std(axis=0)
        else:
            self._mean = np.average(rows, axis=0, weights=weight)
            spread = np.sqrt(np.average((rows - self._mean) ** 2, axis=0, weights=weight))
        self._spread = np.where(spread > 0, spread, 1.0)

    def _scaled(self, y: Any) -> Any:
        return ((y.reshape(len(y), -1).astype(np.float64) - self._mean) / self._spread).astype(np.float32)

    def predict(self, X: Any) -> Any:
        """The predicted numbers, in the shape of y."""
        found = self._outputs(X).astype(np.float64) * self._spread + self._mean
        return found[:, 0] if self._flat else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
