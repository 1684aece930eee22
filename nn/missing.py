"""What to say of an attribute that is not there, which mostly means that a subclass did not call super().__init__()."""

from __future__ import annotations

from typing import Any


class Missing:
    """In the place of an attribute that is not there, or not before `__init__`: the AttributeError that says so.

    With a `__getattr__` for all names, every attribute that is there would take ten times as long.
    """

    def __init__(self, hint: str = "") -> None:
        self.hint = hint

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self
        raise missing(owner, self.name, self.hint)


def missing(owner: Any, name: str, hint: str = "") -> AttributeError:
    """The error of `owner.name`; it names the class whose `__init__` leaves out that of its base, if there is one."""
    kind = type(owner)
    said = f"{kind.__name__} has no attribute {name!r}{hint and '; ' + hint}"
    for cls in kind.__mro__:
        own = vars(cls).get("__init__")
        if own is None:
            continue
        bases = [base for base in cls.__mro__[1:-1] if base.__init__ is not object.__init__]  # type: ignore[misc]
        if (
            bases
            and not cls.__module__.startswith("nn.")
            and "__init__" not in getattr(getattr(own, "__code__", None), "co_names", ())
        ):
            said += f"; the __init__ of {cls.__name__} does not call super().__init__(), that of {bases[0].__name__}"
        break
    return AttributeError(said, name=name, obj=owner)
