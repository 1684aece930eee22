"""Changes of modules, and of optimisers between training steps."""

from __future__ import annotations

import numpy as np

import nn
from autograd import Tensor, no_grad
from change_cases import ONE, registry

CASES, guard, audit = registry()


# ---- modules


class Scale(nn.Module):
    factor = 3.0

    def __init__(self, *layers):
        self.k, self.table, self.options = 2.0, np.ones(2), {"k": 1.0}
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * self.k * self.table * self.options["k"] * self.factor


def linear(seed=0):
    nn.manual_seed(seed)
    return nn.Linear(2, 2)


def scale(change):
    m = Scale()
    return no_grad(lambda x: m(x)), lambda: change(m)


def network(change):
    m = nn.Sequential(linear(), nn.ReLU(), linear(1))
    return no_grad(lambda x: m(x)), lambda: change(m)


@guard
def training_flag():
    m = nn.Sequential(nn.BatchNorm1d(2))
    given = np.array([[1.0, 2.0], [5.0, 8.0]], np.float32)
    return no_grad(lambda x, rows=given: m(rows)), lambda: m.eval() and None


@guard
def attribute_of_a_module():
    return scale(lambda m: setattr(m, "k", 5.0))


@guard
def attribute_that_a_module_gains():
    return scale(lambda m: setattr(m, "factor", 5.0))


@guard
def attribute_that_a_module_loses():
    m = Scale()
    m.factor = 5.0
    return no_grad(lambda x: m(x)), lambda: delattr(m, "factor")


@audit
def attribute_set_in_the_dict_of_a_module():
    return scale(lambda m: vars(m).update(k=5.0))


@guard
def another_array_in_a_module_attribute():
    return scale(lambda m: setattr(m, "table", m.table * 5))


@audit
def array_of_a_module_attribute_written_into():
    m = Scale()
    m.forward = lambda x: x * (m.table * 2)
    return no_grad(lambda x: m(x)), lambda: m.table.fill(5.0)


@audit
def dict_of_options_in_a_module():
    return scale(lambda m: m.options.update(k=5.0))


@audit
def attribute_of_a_class_of_modules():
    kind = type("Kind", (Scale,), {})
    m = kind()
    return no_grad(lambda x: m(x)), lambda: setattr(kind, "factor", 5.0)


@guard
def forward_patched_on_a_module():
    return scale(lambda m: setattr(m, "forward", lambda x: x))


@audit
def forward_patched_on_a_class():
    kind = type("Kind", (Scale,), {})
    m = kind()
    return no_grad(lambda x: m(x)), lambda: setattr(kind, "forward", lambda self, x: x)


@guard
def class_of_a_module():
    return network(lambda m: setattr(m[1], "__class__", nn.Tanh))


@guard
def attributes_of_a_module_as_a_whole():
    return network(lambda m: setattr(m[0], "__dict__", vars(linear(2))))


@guard
def module_in_an_attribute():
    m = Scale(linear())
    return no_grad(lambda x: m(x)), lambda: setattr(m, "layers", (linear(2),))


@audit
def module_replaced_in_a_list():
    layers = [linear()]
    return no_grad(lambda x: layers[0](x)), lambda: layers.__setitem__(0, linear(2))


@audit
def module_replaced_in_a_sequence():
    return network(lambda m: m.__setitem__(1, nn.Tanh()))


@audit
def module_appended_to_a_sequence():
    return network(lambda m: m.items.append(linear(2)))


@guard
def items_of_a_sequence():
    return network(lambda m: setattr(m, "items", m.items[:1]))


@audit
def module_replaced_in_a_dict_of_modules():
    m = nn.ModuleDict({"a": linear()})
    return no_grad(lambda x: m["a"](x)), lambda: m.__setitem__("a", linear(2))


@guard
def parameter_of_a_module():
    return network(lambda m: setattr(m[0], "weight", nn.Parameter(m[0].weight.data * 2)))


@guard
def weights_tied():
    return network(lambda m: setattr(m[0], "weight", m[2].weight))


@guard
def weight_assigned():
    return network(lambda m: m[0].weight.assign(m[0].weight.data * 2) and None)


@guard
def weight_written_into():
    return network(lambda m: m[0].weight.data.fill(2.0))


@guard
def weights_loaded():
    return network(lambda m: m.load_state_dict({k: x * 2 for k, x in m.state_dict().items()}) and None)


@guard
def dtype_of_a_module():
    m = linear()
    return no_grad(lambda x: m(x.astype(np.float32))), lambda: m.double() and None


@guard
def buffer_of_a_module():
    m = Scale()
    m.register_buffer("table", ONE)
    return no_grad(lambda x: m(x)), lambda: m.register_buffer("table", ONE * 5)


@audit
def forward_hook_of_a_module():
    return network(lambda m: m[0].register_forward_hook(lambda module, inputs, output: output * 2) and None)


# ---- training steps


def training(change, make=lambda p: nn.SGD(p, lr=0.1, momentum=0.5), **options):
    m = nn.Sequential(linear(), nn.Tanh(), linear(1))
    optimizer = make(m.parameters())

    def step(x):
        optimizer.zero_grad()
        loss = (m(x.astype(np.float32)) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss.data

    return step, lambda: change(m, optimizer)


@guard
def frozen_parameter():
    return training(lambda m, o: setattr(m[0].weight, "requires_grad", False))


@guard
def weights_tied_in_a_step():
    return training(lambda m, o: setattr(m[0], "weight", m[2].weight))


@audit
def hook_of_a_parameter():
    return training(lambda m, o: m[0].weight.register_hook(lambda g: g * 2) and None)


@guard
def weights_loaded_into_a_step():
    return training(lambda m, o: m.load_state_dict({k: x * 2 for k, x in m.state_dict().items()}) and None)


@guard
def learning_rate():
    return training(lambda m, o: setattr(o, "lr", 0.01))


@guard
def learning_rate_of_a_group():
    return training(lambda m, o: o.groups[0].update(lr=0.01))


@guard
def learning_rate_that_is_a_whole_number():
    return training(lambda m, o: o.groups[0].update(lr=1))


@guard
def option_of_an_optimiser():
    return training(lambda m, o: o.groups[0].update(momentum=0.1))


@guard
def betas_of_an_optimiser():
    return training(lambda m, o: o.groups[0].update(betas=(0.5, 0.5)), lambda p: nn.Adam(p, lr=0.1))


@guard
def group_of_an_optimiser_replaced():
    return training(lambda m, o: o.groups.__setitem__(0, {**o.groups[0], "weight_decay": 0.5}))


@guard
def parameter_removed_from_a_group():
    def change(m, o):
        del o.groups[0]["params"][0], o.params[0], o.state[0]

    return training(change)


@audit
def parameter_replaced_in_a_group():
    def change(m, o):
        o.params[0] = o.groups[0]["params"][0] = Tensor(np.ones((2, 2), np.float32), requires_grad=True)

    return training(change)


@guard
def group_added():
    def change(m, o):
        o.groups[0]["params"].pop()
        o.groups.append({**o.groups[0], "params": [o.params[-1]], "lr": 0.01})

    return training(change)


@guard
def state_of_an_optimiser_loaded():
    def change(m, o):
        found = o.state_dict()
        found["state"] = [{k: x * 2 for k, x in own.items()} for own in found["state"]]
        o.load_state_dict(found)

    return training(change)


@guard
def state_of_an_optimiser_written_into():
    return training(lambda m, o: [x.fill(1.0) for own in o.state for x in own.values()] and None)


@guard
def state_of_an_optimiser_cleared():
    return training(lambda m, o: [own.clear() for own in o.state] and None)


@guard
def another_optimiser():
    m = linear()
    optimizer = nn.SGD(m.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = (m(x.astype(np.float32)) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss.data

    def change():
        nonlocal optimizer
        optimizer = nn.Adam(m.parameters(), lr=0.1)

    return step, change


@audit
def update_patched_on_an_optimiser():
    return training(lambda m, o: setattr(o, "update", lambda w, g, state, group: (w - g, state)))
