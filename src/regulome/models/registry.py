"""All networks by name: what there is, where it was published, and how to make one."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from regulome.errors import InputError

Network = TypeVar("Network", bound=type[nn.Module])

# Files of this room that register networks, in the order in which they are listed.
_FILES = (
    *("deepchrome", "attentivechrome", "attentive_variants", "chromexpress", "chromoformer"),
    *("linear", "random_forest"),
    *("deepsea", "danq", "basset", "deep_motif_dashboard"),
    *("deepbind", "bigru", "gru", "clockwork", "kmer"),
    *("char_networks", "markov", "context_mixing"),
)

# What a network of each kind of input is made with when its parameters are counted for the list, where its paper has
# no other sizes.
_SIZES: Mapping[str, Mapping[str, int]] = {
    "marks": {"marks": 5, "bins": 100},
    "regions": {"marks": 7},
    "sequence": {"length": 1000, "targets": 919},
    "text": {},
}


@dataclass(frozen=True)
class Paper:
    """Where a network was published; ``doi`` is None where there is none."""

    authors: str
    title: str
    venue: str
    year: int
    doi: str | None = None

    @property
    def short(self) -> str:
        """First author and year, for tables."""
        first, _, others = self.authors.partition(",")
        return f"{first.rsplit(' ', 1)[0]}{' et al.' if others else ''} {self.year}"

    def __str__(self) -> str:
        return f"{self.authors}. {self.title}. {self.venue} ({self.year})" + (f". doi:{self.doi}" if self.doi else "")


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a network without making one.

    Attributes:
        name: The name for :func:`create` and in recipes.
        title: The name that people write.
        paper: Where it was published.
        line: The line of work: "expression", "sequence", "conservation" or "language".
        inputs: What goes in: "marks" is float32 [batch, mark, bin]; "regions" is a
            :class:`~regulome.models.regions.RegionBatch`; "sequence" is one-hot float32 [batch, 4, base], the letters
            in the order A, C, G, T; "text" is integer codes [batch, letter], 0 … 3 in that order.
        defaults: Every hyperparameter that has a default, and the default.
        parameters: Number of trainable parameters at ``sizes`` and the defaults.
        sizes: The sizes for which ``parameters`` holds, mostly the paper's: 5 marks × 100 bins, or windows of 1,000
            bases and 919 targets; none for networks on text, which take any.
    """

    name: str
    title: str
    paper: Paper
    line: str
    inputs: str
    defaults: Mapping[str, Any]
    parameters: int
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class _Entry:
    name: str
    title: str
    paper: Paper
    line: str
    inputs: str
    network: type[nn.Module]
    sizes: Mapping[str, int]


_entries: dict[str, _Entry] = {}


def register(
    name: str,
    *,
    title: str,
    paper: Paper,
    line: str = "expression",
    inputs: str = "marks",
    sizes: Mapping[str, int] | None = None,
) -> Callable[[Network], Network]:
    """Enter a network class in the registry under ``name`` (a decorator).

    Args:
        name: Unique name in lower case, words joined by hyphens.
        title: The name that people write.
        paper: Where it was published.
        line: "expression", "sequence", "conservation" or "language".
        inputs: Kind of input, see :class:`ModelInfo`.
        sizes: The paper's sizes, with which parameters are counted; None takes those of the kind of input.
    """
    counted = dict(_SIZES[inputs] if sizes is None else sizes)

    def enter(network: Network) -> Network:
        known = _entries.get(name)
        if known is not None and known.network.__qualname__ != network.__qualname__:
            raise ValueError(f"two networks are called {name!r}")
        _entries[name] = _Entry(name, title, paper, line, inputs, network, counted)
        return network

    return enter


def default_hyperparameters(name: str) -> dict[str, Any]:
    """Return every hyperparameter of a network that has a default, and the default.

    Raises:
        InputError: There is no such network.
    """
    entries = _registered()
    if name not in entries:
        raise InputError(f"there is no model {name!r}", cure=_near(name, entries))
    return _defaults(entries[name])


def _defaults(entry: _Entry) -> dict[str, Any]:
    signature = inspect.signature(entry.network).parameters.values()
    return {p.name: p.default for p in signature if p.default is not p.empty}


def _registered() -> dict[str, _Entry]:
    for file in _FILES:
        importlib.import_module(f"regulome.models.{file}")
    # Whoever imported one of the files before shall not change the order.
    return dict(sorted(_entries.items(), key=lambda item: _place(item[1])))


def _place(entry: _Entry) -> int:
    file = entry.network.__module__.rpartition(".")[2]
    return _FILES.index(file) if file in _FILES else len(_FILES)


def create(name: str, **hyperparameters: Any) -> nn.Module:
    """Make a network with freshly drawn weights.

    Args:
        name: A name of :func:`list_models`, for example ``"attentivechrome"``.
        hyperparameters: Sizes (``marks=5, bins=100`` or ``length=1000, targets=919``) and whatever else its class
            takes.

    Returns:
        The network in training mode. Networks on marks take float32 [batch, mark, bin] and give [batch, 1]: the logit
        of "high", or the value where ``task="regression"``. Networks on sequences take one-hot float32
        [batch, 4, length] and give [batch, targets]: a logit, or a value, of each target. Networks on text take codes
        [batch, letter] and a state (None where the text begins), and give the logits of the letter after each,
        [batch, letter, 4], and the state there.

    Raises:
        InputError: There is no such network, it has no such hyperparameter, or a value cannot be.

    Example:
        >>> create("deepchrome", marks=5, bins=100)(torch.zeros(2, 5, 100)).shape
        torch.Size([2, 1])
    """
    entries = _registered()
    if name not in entries:
        raise InputError(f"there is no model {name!r}", cure=_near(name, entries))
    parameters = inspect.signature(entries[name].network).parameters
    for given in hyperparameters:
        if given not in parameters:
            raise InputError(f"{name} has no hyperparameter {given!r}", cure=_near(given, parameters))
    missing = [p.name for p in parameters.values() if p.default is p.empty and p.name not in hyperparameters]
    if missing:
        raise InputError(f"{name} needs a value for {', '.join(missing)}")
    return entries[name].network(**hyperparameters)


def inputs_of(name: str) -> str:
    """Return what a network takes: "marks" of a promoter, "regions" of a promoter and its contacts, "sequence", "text".

    Raises:
        InputError: There is no such network.
    """
    entries = _registered()
    if name not in entries:
        raise InputError(f"there is no model {name!r}", cure=_near(name, entries))
    return entries[name].inputs


def list_models() -> list[ModelInfo]:
    """Describe every network: name, paper, inputs, defaults and parameter count."""
    return [_describe(entry) for entry in _registered().values()]


def _describe(entry: _Entry) -> ModelInfo:
    # On the meta device nothing is allocated and no random number is drawn.
    with torch.device("meta"):
        network = entry.network(**entry.sizes)
    count = sum(p.numel() for p in network.parameters())
    return ModelInfo(
        *(entry.name, entry.title, entry.paper, entry.line, entry.inputs),
        defaults=_defaults(entry),
        parameters=count,
        sizes=dict(entry.sizes),
    )


def _near(wanted: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
