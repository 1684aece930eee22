"""What to say of an attribute that is not there, which mostly means that a subclass did not call super().__init__()."""

from __future__ import annotations

from typing import Any


def missing(owner: Any, name: str, hint: str = "") -> AttributeError:
    """The error of `owner.name`; it names the class whose `__init__` leaves out that of its base, if there is one."""
    kind = type(owner)
    said = f"{kind.__name__} has no attribute {name!r}{hint and '; ' + hint}"
    for cls in kind.__mro__:
        own = vars(cls).get("__init__")
        if own is None:
            continue
        bases = [base for base in cls.__mro__[1:-1] if "__init__" in vars(base)]
        if (
            bases
            and not cls.__module__.startswith("nn.")
            and "__init__" not in getattr(getattr(own, "__code__", None), "co_names", ())
        ):
            said += f"; the __init__ of {cls.__name__} does not call super().__init__(), that of {bases[0].__name__}"
        break
    return AttributeError(said, name=name, obj=owner)
