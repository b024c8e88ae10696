"""What a search may vary: keys of a recipe, and the values that each may take.

A space is TOML::

    [space]
    training.learning_rate = { low = 0.0005, high = 0.05, log = true }
    model.hyperparameters.hidden = { choices = [0, 32] }
    model.hyperparameters.detector_length = { low = 8, high = 24, step = 4 }

``model.name = { choices = […] }`` varies the network; hyperparameters are then those that all of them have.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from regulome.errors import InputError, blame
from regulome.models.registry import default_hyperparameters
from regulome.recipes.load import field_docs, nearest
from regulome.recipes.schema import Hyperparameter, Recipe

#: The space of networks that have none of their own.
DEFAULT = "default"
_NETWORK = "model.hyperparameters."
_NAME = "model.name"
# What decides how a training is run rather than what it learns; the search itself sets the seeds.
_FIXED = ("training.seed", "training.method", "training.checkpoint_minutes")
_WORDS = ("choices", "low", "high", "log", "step", "power")
_EXAMPLE = "give { low = 0.001, high = 0.1, log = true }, or { choices = [0, 32] }"


@dataclass(frozen=True)
class Dimension:
    """The values that one key may take: listed ``choices``, or all from ``low`` to ``high``.

    Attributes:
        key: Key of the recipe, for example ``"training.learning_rate"``.
        choices: The values; one that stands there twice is twice as likely. Empty for a range.
        low: Smallest value of a range.
        high: Largest value, included.
        log: Uniform in the logarithm.
        step: Distance between values; None: any value, or every whole number.
        power: Values are low + (high - low) · u ** power with u uniform in 0 … 1.
        whole: Only whole numbers.
    """

    key: str
    choices: tuple[Hyperparameter, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    power: float = 1.0
    whole: bool = False

    def ends(self) -> list[Hyperparameter]:
        """Return the values that have to be possible: all choices, or both ends."""
        return list(self.choices) or [self.low, self.high]

    def points(self) -> list[Hyperparameter]:
        """Return all values, in order.

        Raises:
            InputError: There is no end of them.
        """
        if self.choices:
            return list(self.choices)
        if self.low == self.high:
            return [self.low]
        step = self.step or (1 if self.whole and not self.log else None)
        if step is None:
            raise InputError(
                "a grid needs values that can be counted",
                cure="give choices or a step, or draw at random",
            )
        values = [self.low + step * place for place in range(math.floor((self.high - self.low) / step + 1e-9) + 1)]
        # 0.1 + 2 · 0.1 is 0.3 for people.
        return list(values) if self.whole else [float(f"{value:.12g}") for value in values]

    def record(self) -> dict[str, Any]:
        """Return what a space file says of it."""
        if self.choices:
            return {"choices": list(self.choices)}
        said: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.log:
            said["log"] = True
        if self.step is not None:
            said["step"] = self.step
        if self.power != 1.0:
            said["power"] = self.power
        return said


@dataclass(frozen=True)
class Space:
    """The keys that a search varies.

    Attributes:
        name: Name of a space that comes with regulome; None for another.
        file: The file it was read from; None where there is none.
        dimensions: What each key may be, in the order of the file.
    """

    name: str | None
    file: Path | None
    dimensions: tuple[Dimension, ...]

    def record(self) -> dict[str, Any]:
        """Return the ``[space]`` table, with whole keys."""
        return {dimension.key: dimension.record() for dimension in self.dimensions}

    def combinations(self) -> int:
        """Return how many there are.

        Raises:
            InputError: A range has no end of values.
        """
        count = 1
        for dimension in self.dimensions:
            with blame(self.file, dimension.key):
                count *= len(dimension.points())
        return count

    def combination(self, number: int) -> dict[str, Hyperparameter]:
        """Return a combination by its number, from 0; the last key changes fastest."""
        found: dict[str, Hyperparameter] = {}
        for dimension in reversed(self.dimensions):
            points = dimension.points()
            number, place = divmod(number, len(points))
            found[dimension.key] = points[place]
        return dict(reversed(found.items()))


def space_names() -> list[str]:
    """Return the names of the spaces that come with regulome: those of recipes, and ``"default"``."""
    return sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml"))


def load_space(space: str | Path | Mapping[str, Any] | None, recipe: Recipe) -> Space:
    """Read what a search over a recipe may vary.

    Args:
        space: The name of a recipe whose space comes with regulome, a TOML file, or the content of its ``[space]``.
            None takes the recipe's own, and for networks without one the default.
        recipe: The recipe: it says which keys and hyperparameters there are.

    Raises:
        InputError: There is no such space, it has a key that the recipe or its network has not, or a range that is
            none.
    """
    if isinstance(space, Mapping):
        return Space(None, None, _dimensions(space, recipe, None))
    name, file = _find(space, recipe)
    source: Traversable = _folder().joinpath(f"{name}.toml") if file is None else file
    try:
        table = tomllib.loads(source.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError("is not a text file, expected a space in TOML", file=file) from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not TOML: {error}", file=file) from error
    for key in table:
        if key not in ("space", "description", "paper"):
            raise InputError(f"unknown key {key}", file=file, cure="the keys of the recipe stand under [space]")
    if not isinstance(table.get("space"), dict):
        raise InputError("has no table [space]", file=file, cure=f"{_EXAMPLE} for each key of the recipe under [space]")
    return Space(name, file, _dimensions(table["space"], recipe, file))


def _folder() -> Traversable:
    return resources.files("regulome.recipes").joinpath("spaces")


def _find(space: str | Path | None, recipe: Recipe) -> tuple[str | None, Path | None]:
    """Return the name of a space of ours, or a file."""
    names = space_names()
    if space is None:
        if recipe.name in names:
            return recipe.name, None
        if recipe.training.method == "gradient":
            return DEFAULT, None
        raise InputError(f"{recipe.name} has no space to search", cure="give --space FILE")
    if str(space) in names:
        return str(space), None
    path = Path(space)
    if path.is_file():
        return None, path
    if path.suffix == ".toml":
        raise InputError("no such file", file=path, cure="check the path")
    raise InputError(f"no space is named {str(space)!r}", cure=nearest(str(space), names))


def _dimensions(table: Mapping[str, Any], recipe: Recipe, file: Path | None) -> tuple[Dimension, ...]:
    floats = {doc.key: doc.default for doc in field_docs() if doc.key.startswith(("input.", "training.", "baseline."))}
    kinds: dict[str, bool] = {key: _is_float(default) for key, default in floats.items() if key not in _FIXED}
    entries = list(_flat(table))
    networks = _networks(dict(entries), recipe, file)
    first, *others = networks.values()
    # What several networks are searched by has to be a hyperparameter of each.
    shared = {name: value for name, value in first.items() if all(name in other for other in others)}
    kinds |= {_NETWORK + name: isinstance(value, float) for name, value in shared.items() if name != "task"}
    kinds[_NAME] = False
    found = []
    for key, said in entries:
        if key not in kinds:
            raise InputError(_unknown(key, networks), file=file, record=key, cure=_near_key(key, kinds))
        found.append(_dimension(key, said, takes_float=kinds[key], file=file))
    if not found:
        raise InputError("the space is empty", file=file, cure=f"{_EXAMPLE} for a key of the recipe")
    return tuple(found)


def _networks(entries: Mapping[str, Any], recipe: Recipe, file: Path | None) -> dict[str, dict[str, Any]]:
    """Return the networks that are searched over, each with its hyperparameters and their defaults."""
    if _NAME not in entries:
        return {recipe.model.name: default_hyperparameters(recipe.model.name)}
    said = entries[_NAME]
    names = said.get("choices") if isinstance(said, Mapping) else None
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        cure = 'give { choices = ["char-rnn", "char-gru"] }'
        raise InputError("expected choices among the names of networks", file=file, record=_NAME, cure=cure)
    with blame(file, _NAME):
        return {name: default_hyperparameters(name) for name in names}


def _is_float(default: str) -> bool:
    return default.replace(".", "", 1).replace("e-", "", 1).isdigit() and not default.isdigit()


def _unknown(key: str, networks: Mapping[str, Mapping[str, Any]]) -> str:
    if key in _FIXED:
        return "is not searched over"
    if key.startswith(_NETWORK):
        wanted = key.removeprefix(_NETWORK)
        lacking = next(name for name, defaults in networks.items() if wanted not in defaults or wanted == "task")
        return f"{lacking} has no hyperparameter {wanted!r}"
    return "is no key of a recipe that can be searched over"


def _near_key(key: str, known: Mapping[str, bool]) -> str:
    if key in _FIXED:
        return "leave it away: --set replaces it for all trials"
    # Hyperparameters are compared with each other: their common beginning would make all of them near.
    inside = key.startswith(_NETWORK)
    names = [name for name in known if name.startswith(_NETWORK) == inside]
    if not inside:
        return nearest(key, names)
    return nearest(key.removeprefix(_NETWORK), [name.removeprefix(_NETWORK) for name in names])


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give whole keys: TOML reads dotted keys as tables in tables."""
    for name, value in table.items():
        if isinstance(value, Mapping) and value and all(isinstance(inner, Mapping) for inner in value.values()):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _dimension(key: str, said: Any, *, takes_float: bool, file: Path | None) -> Dimension:
    def wrong(problem: str, cure: str = _EXAMPLE) -> InputError:
        return InputError(problem, file=file, record=key, cure=cure)

    if not isinstance(said, Mapping):
        raise wrong(f"expected choices or a range, got {said!r}")
    for word in said:
        if word not in _WORDS:
            raise wrong(f"unknown key {word!r}", nearest(str(word), _WORDS))
    if "choices" in said:
        if len(said) > 1:
            raise wrong("choices stand alone, without low, high or anything else")
        if not isinstance(said["choices"], list | tuple) or not said["choices"]:
            raise wrong(f"choices: expected a list of values, got {said['choices']!r}")
        return Dimension(key, tuple(said["choices"]))
    numbers = {word: said[word] for word in ("low", "high", "step", "power") if word in said}
    for word, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise wrong(f"{word}: expected a number, got {value!r}")
    log = said.get("log", False)
    if not isinstance(log, bool):
        raise wrong(f"log: expected true or false, got {log!r}")
    if "low" not in said or "high" not in said:
        raise wrong(f"{'low' if 'low' not in said else 'high'} is missing")
    low, high, step, power = said["low"], said["high"], said.get("step"), float(said.get("power", 1.0))
    if low > high:
        raise wrong(f"low {low:g} is above high {high:g}", "exchange them")
    if log and low <= 0:
        raise wrong(f"a logarithmic range begins above 0, not at {low:g}", "raise low, or leave log away")
    if sum((bool(log), step is not None, power != 1.0)) > 1:
        raise wrong("log, step and power exclude each other", "keep one of them")
    if (step is not None and step <= 0) or power <= 0:
        raise wrong("step and power are above 0")
    whole = not takes_float and all(isinstance(value, int) for value in (low, high, step or 1)) and power == 1.0
    if not whole:
        low, high, step = float(low), float(high), None if step is None else float(step)
    return Dimension(key, (), low, high, log, step, power, whole)
