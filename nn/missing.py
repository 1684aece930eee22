"""Errors for missing attributes, usually a forgotten super().__init__()."""

from __future__ import annotations

from typing import Any


class Missing:
    """A class attribute that raises AttributeError when read, for a name that does not exist or not before `__init__`.

    A `__getattr__` for all names would make reading every existing attribute ten times slower.
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
    """The AttributeError for `owner.name`; it names a class whose `__init__` does not call its base's, if any."""
    kind = type(owner)
    said = f"{kind.__name__} has no attribute {name!r}{hint and '; ' + hint}"
    for cls in kind.__mro__:
        own = vars(cls).get("__init__")
        if own is None:
            continue
        bases = [base for base in cls.__mro__[1:-1] if base.__init__ is not object.__init__]  # type: ignore[misc]  # of the class
        if (
            bases
            and not cls.__module__.startswith("nn.")
            and "__init__" not in getattr(getattr(own, "__code__", None), "co_names", ())
        ):
            said += f"; the __init__ of {cls.__name__} does not call super().__init__(), that of {bases[0].__name__}"
        break
    return AttributeError(said, name=name, obj=owner)
