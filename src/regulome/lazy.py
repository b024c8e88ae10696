"""Names of a package that are imported only when somebody asks for them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the module hooks that import a package's public names on first use (PEP 562).

    Importing regulome must not import torch, polars or matplotlib: ``regulome --help`` answers at once.

    Args:
        package: The ``__name__`` of the package.
        names: Public name to the module that defines it, relative to the package (``"runs"``, ``"training.runs"``).

    Returns:
        ``__getattr__``, ``__dir__`` and ``__all__`` for the package.
    """

    def getattribute(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{names[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return getattribute, lambda: sorted(names), sorted(names)
