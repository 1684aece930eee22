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
from .functional import softmax
from .inference import predict
from .init import manual_seed
from .layers import Linear
from .losses import CrossEntropyLoss, MSELoss
from .module import Module
from .training import fit

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("nn.sklearn needs scikit-learn: pip install plaingrad[sklearn]") from error


class _NeuralNet(BaseEstimator):  # type: ignore[misc]
    """Base of both estimators.

    `module` is a function (n_features, n_outputs) -> Module, a Module (a copy is trained), or None for two dense layers
    with `hidden` nodes between.  `optimizer` is a class of nn, or its name, and gets `lr`.  `random_state` decides the
    initial weights and the order of the samples.  X is not scaled.
    """

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

    def _train(self, X: Any, y: Any, outputs: int, loss: Any) -> None:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        features = X.shape[1]
        if isinstance(self.module, Module):
            model = copy.deepcopy(self.module)
        else:
            manual_seed(seed)
            model = self.module(features, outputs) if self.module else self._default(features, outputs)
        kind = getattr(optim, self.optimizer) if isinstance(self.optimizer, str) else self.optimizer
        self.history_ = fit(
            model, X.astype(self._dtype(model)), y, loss=loss, optimizer=kind(model.parameters(), lr=self.lr),
            epochs=self.epochs, batch_size=self.batch_size, callbacks=[copy.deepcopy(c) for c in self.callbacks],
            progress=False, generator=np.random.default_rng(seed),
        )  # fmt: skip
        self.module_, self.n_iter_ = model, self.history_.epochs

    def _default(self, features: int, outputs: int) -> Module:
        return Sequential(Linear(features, self.hidden), ReLU(), Linear(self.hidden, outputs))

    @staticmethod
    def _dtype(model: Module) -> Any:
        return next((p.dtype for p in model.parameters()), np.dtype(np.float32))

    def _outputs(self, X: Any) -> Any:
        check_is_fitted(self, "module_")
        X = validate_data(self, X, reset=False)
        return predict(self.module_, X.astype(self._dtype(self.module_)))


class NeuralNetClassifier(ClassifierMixin, _NeuralNet):  # type: ignore[misc]
    """A network that predicts classes, trained with cross-entropy; labels may be of any type that sorts.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> NeuralNetClassifier(epochs=60, random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    def fit(self, X: Any, y: Any) -> NeuralNetClassifier:
        """Train on X (n, features) with labels y (n,)."""
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self._train(X, labels, max(2, len(self.classes_)), CrossEntropyLoss())
        return self

    def predict_proba(self, X: Any) -> Any:
        """The probability of every class (n, classes), in the order of `classes_`."""
        outputs = self._outputs(X).astype(np.float64)
        return softmax(outputs[:, : len(self.classes_)])

    def predict(self, X: Any) -> Any:
        """The most probable class (n,)."""
        best = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[best]


class NeuralNetRegressor(RegressorMixin, _NeuralNet):  # type: ignore[misc]
    """A network that predicts numbers, trained with the mean squared error; y (n,) or (n, outputs).

    y is standardised for training, and predictions are in its units.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> NeuralNetRegressor(epochs=30, random_state=0).fit(X, y).score(X, y) > 0.5
    True
    """

    def fit(self, X: Any, y: Any) -> NeuralNetRegressor:
        """Train on X (n, features) with targets y (n,) or (n, outputs)."""
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True)
        self._flat = y.ndim == 1
        rows = y.reshape(len(y), -1).astype(np.float64)
        self._mean, spread = rows.mean(axis=0), rows.std(axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)
        target = ((rows - self._mean) / self._spread).astype(np.float32)
        self._train(X, target, rows.shape[1], MSELoss())
        return self

    def predict(self, X: Any) -> Any:
        """The predicted numbers, in the shape of y."""
        found = self._outputs(X).astype(np.float64) * self._spread + self._mean
        return found[:, 0] if self._flat else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
