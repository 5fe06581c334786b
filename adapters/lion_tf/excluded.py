"""Which variables have no weight decay, in words that JSON carries and a new model understands."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from lion_tf.checks import path


class UntoldError(ValueError):
    """A config excludes a variable that cannot be told among the optimizer's."""


@dataclass(frozen=True)
class Excluded:
    """What `exclude_from_weight_decay` was given.

    A variable is found again by its path, or by the end of it: a model that is loaded may have no
    prefix where it had one. Only where no path is found again, and all differ by no more than the
    numbers that Keras makes up (`dense_1` for `dense`), is a variable found by its place.

    Attributes:
        listed: the variables of `var_list`.
        names: the patterns of `var_names`.
        named: the variables that the patterns stand for; None if Keras is to look for them.
        absent: the paths of variables of `var_list` that were not trained when a config was made,
            or are not now; they are excluded once they are.
    """

    listed: Sequence[Any] = ()
    names: Sequence[str] = ()
    named: Sequence[Any] | None = None
    absent: Sequence[str] = ()

    @property
    def arguments(self) -> tuple[list[Any], list[str]]:
        """`var_list` and `var_names` for Keras."""
        if self.named is None:
            return list(self.listed), list(self.names)
        return [*self.listed, *self.named], []

    def config(
        self, variables: Sequence[Any] | None, excluded: Sequence[bool], key: Callable[[Any], Any]
    ) -> dict[str, Any]:
        """What JSON can carry.

        Args:
            variables: the optimizer's, None if it is not built.
            excluded: for each of them, whether it has no decay.
            key: gives the same for the same variable.
        """
        keys = {key(x) for x in self.listed}
        words: list[list[str | None]] | None = None
        left = [x for x in self.listed if _trained(x)]
        absent = [path(x) for x in self.listed if not _trained(x)]
        if variables is not None:
            words = [
                [path(x), None if not out else "var_list" if key(x) in keys else "var_names"]
                for x, out in zip(variables, excluded, strict=True)
                if _trained(x)
            ]
            built = {key(x) for x in variables}
            absent += [path(x) for x in left if key(x) not in built]
            left = []
        return {
            "var_list": [path(x) for x in left],
            "var_names": list(self.names),
            "absent": list(dict.fromkeys([*self.absent, *absent])),
            "variables": words,
        }

    @classmethod
    def found(cls, config: Mapping[str, Any], variables: Sequence[Any]) -> Excluded:
        """What a config excludes of an optimizer's variables.

        Raises:
            UntoldError: a variable of `var_list` may be among them, but which is not known.
        """
        names, new = config["var_names"], [path(x) for x in variables]
        old: list[str] = []
        known: dict[int, int] = {}
        listed, named, absent = _by_path(config["var_list"], new), None, []
        if config["variables"] is not None:
            old = [was for was, _ in config["variables"]]
            known = _places(old, new)
            by = {place: config["variables"][was][1] for place, was in known.items()}
            _warn_of_numbers(old, new, {place: known[place] for place in by if by[place]})
            listed = [place for place in by if by[place] == "var_list"]
            named = [
                x
                for place, x in enumerate(variables)
                if by.get(place) == "var_names" or (place not in by and _any_in(names, x))
            ]
            lost = set(range(len(old))) - set(known.values())
            absent = [old[was] for was in sorted(lost) if config["variables"][was][1] == "var_list"]
        others = [place for place in range(len(new)) if place not in known]
        for wanted in absent:  # of another model if nothing is known, else no longer trained
            if others and (not known or any(_alike(wanted, new[place]) for place in others)):
                raise _untold(wanted, new)
        # Where all that are known lost one prefix, the others would have.
        prefixes = {old[was].removesuffix(new[place]) for place, was in known.items()}
        prefix = prefixes.pop() if len(prefixes) == 1 else ""
        absent = [wanted.removeprefix(prefix) for wanted in absent]
        for wanted in (wanted.removeprefix(prefix) for wanted in config["absent"]):
            same = [place for place in others if _same(wanted, new[place])]
            if not same:
                absent.append(wanted)
            elif [new[place] for place in same] != [wanted]:
                raise _untold(wanted, new)
            listed += same
        return cls([variables[place] for place in sorted(listed)], names, named, absent)


def check_config(config: Any) -> None:
    """ValueError unless it is one of `Excluded.config`'s."""
    try:
        words = [x for key in ("var_list", "var_names", "absent") for x in _list(config[key])]
        marked = [] if config["variables"] is None else _list(config["variables"])
        words += [was for was, _ in marked]
        legal = all(isinstance(x, str) for x in words) and (
            {by for _, by in marked} <= {None, "var_list", "var_names"}
        )
    except (KeyError, TypeError, ValueError):
        legal = False
    if not legal:
        raise ValueError(
            f"exclude_from_weight_decay={config!r} is not legal in a config; legal: what "
            "get_config gives"
        )


def searched_name(variable: Any) -> tuple[Any, str]:
    """The variable that a step sees, TensorFlow's, and its name: Keras looks for patterns there."""
    own = variable.value if isinstance(variable, keras.Variable) else variable
    return own, own.name


def _by_path(paths: Sequence[str], new: Sequence[str]) -> list[int]:
    """The places of these paths, or of such as end in them or that they end in."""
    result = []
    for wanted in dict.fromkeys(paths):
        places = [place for place, is_ in enumerate(new) if is_ == wanted] or [
            place for place, is_ in enumerate(new) if _same(is_, wanted)
        ]
        if len(places) != paths.count(wanted):
            raise _untold(wanted, new)
        result += places
    return result


def _places(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """For each place among the new paths, the one among the old that is the same variable's."""
    known = _paired(old, new) or _paired(_without_model(old), _without_model(new))
    if not known and _numbered(old, new):
        return {place: place for place in range(len(new))}
    return known


def _paired(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """The places of equal paths, in order if there are several; then of equal ends of paths."""
    known: dict[int, int] = {}
    for name in dict.fromkeys(old):
        was, now = ([place for place, x in enumerate(xs) if x == name] for xs in (old, new))
        if len(was) == len(now):
            known |= dict(zip(now, was, strict=True))
    olds = sorted(set(range(len(old))) - set(known.values()))
    news = sorted(set(range(len(new))) - set(known))
    ends = [(j, i) for i in olds for j in news if _same(old[i], new[j])]
    if len(olds) == len(news) and set(zip(news, olds, strict=True)) <= set(ends):
        return known | dict(zip(news, olds, strict=True))
    return known | {j: i for j, i in ends if sum(i == a or j == b for b, a in ends) == 1}


def _without_model(paths: Sequence[str]) -> list[str]:
    """Without the model's name, if all begin with one and a layer's follows."""
    one = len({x.partition("/")[0] for x in paths}) == 1 and all(x.count("/") > 1 for x in paths)
    return [x.partition("/")[2] if one else x for x in paths]


def _numbered(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether the paths differ by numbers alone."""
    return len(old) == len(new) and all(map(_alike, old, new))


def _warn_of_numbers(old: Sequence[str], new: Sequence[str], taken: Mapping[int, int]) -> None:
    """Whether a layer was renamed or another one is trained now, numbers do not say."""
    pairs = [(new[place], old[was]) for place, was in taken.items()]
    moved = _numbered(old, new) and not all(map(_same, old, new))
    if pairs and (moved or not all(_same(*pair) for pair in pairs)):
        warnings.warn(
            "exclude_from_weight_decay: the config names other variables than the optimizer has; "
            f"excluded: {', '.join(f'{now!r} as {was!r}' for now, was in pairs)}",
            stacklevel=2,
        )


def _list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else None


def _untold(wanted: str, new: Sequence[str]) -> UntoldError:
    count = sum(_same(wanted, is_) for is_ in new)
    return UntoldError(
        f"exclude_from_weight_decay: the config names the variable {wanted!r}, but {count} of the "
        f"{len(new)} variables are called so; legal: a path that only it has, or a call of the "
        "optimizer's exclude_from_weight_decay, which replaces what the config says, and then of "
        "model.compile"
    )


def _trained(variable: Any) -> bool:
    return bool(getattr(variable, "trainable", True))


def _any_in(names: Sequence[str], variable: Any) -> bool:
    return any(re.search(name, searched_name(variable)[1]) for name in names)


def _same(one: str, other: str) -> bool:
    """Whether two paths are equal but for a prefix."""
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")


def _alike(one: str, other: str) -> bool:
    """Whether two paths are equal but for a prefix and the numbers that Keras makes up."""
    return _same(*(re.sub(r"_\d+(?=/|$)", "", x) for x in (one, other)))
