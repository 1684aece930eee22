"""A block of convolutions and an LSTM, of layers that `nn` and `torch.nn` share: a step of SGD; float32."""

import numpy as np

from harness import Case

from .work import LR, normal


def layers(kind, library):
    """Return the model and its inputs, in the names that `nn` and `torch.nn` share."""
    if kind == "convolution":
        body = [library.Conv2d(16, 32, 3, padding=1), library.BatchNorm2d(32), library.ReLU(), library.MaxPool2d(2)]
        return library.Sequential(*body, library.Flatten(), library.Linear(32 * 14 * 14, 10)), normal(32, 16, 28, 28)
    return library.LSTM(64, 128, batch_first=True), normal(32, 35, 64)


def train(kind, model, X, optimizer, wrap=lambda step: step):
    """Return a step of SGD on the mean square of the output."""

    @wrap
    def step(X):
        output = model(X)
        output = output if kind == "convolution" else output[0]  # an LSTM returns its last states too
        loss = (output * output).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return lambda: step(X).item()


def weights_of(model):
    """Return the same weights for a model in either package."""
    return [normal(*parameter.shape) * np.float32(0.1) for parameter in model.parameters()]


def network_eager(kind, wrap=lambda step: step):
    import nn

    model, X = layers(kind, nn)
    for parameter, array in zip(model.parameters(), weights_of(model), strict=True):
        parameter.assign(array)
    return train(kind, model, X, nn.SGD(model.parameters(), lr=LR), wrap)


def network_compiled(kind):
    import autograd

    return network_eager(kind, autograd.compile)


def network_pytorch(kind, wrap=lambda model: model):
    import torch

    model, X = layers(kind, torch.nn)
    for parameter, array in zip(model.parameters(), weights_of(model), strict=True):
        parameter.data = torch.tensor(array)
    return train(kind, wrap(model), torch.tensor(X), torch.optim.SGD(model.parameters(), lr=LR))


def network_torch_compile(kind):
    import torch

    return network_pytorch(kind, torch.compile)


NETWORKS = {
    "pytorch": network_pytorch,
    "eager": network_eager,
    "compiled": network_compiled,
    "torch_compile": network_torch_compile,
}
CASES = [
    Case("Networks", "convolution block", "3x3 from 16 to 32 channels, BatchNorm, ReLU, pooling, 32 pictures of 28x28",
         NETWORKS, ("convolution",), notes={"torch_compile": "its model"}),
    Case("Networks", "LSTM of 128 units", "32 rows of 35 tokens of width 64", NETWORKS, ("lstm",),
         notes={"torch_compile": "its model"}),
]  # fmt: skip
