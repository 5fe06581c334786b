"""Which variables have no weight decay, in words that JSON carries and a new model understands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lion_tf.checks import path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Excluded:
    """What `exclude_from_weight_decay` was given.

    A variable is found again by its place among the optimizer's variables, as its momentum is: a
    model that is made or loaded anew may call its layer `dense_1` where it was `dense`, or have no
    prefix where it had one. Without a place, because the optimizer was not built or because it is
    built for another model now, a variable is found by its path.

    Attributes:
        listed: the variables of `var_list`.
        names: the patterns of `var_names`.
        named: the variables that the patterns stood for in the model that was saved; None if Keras
            is to look for them.
    """

    listed: Sequence[Any] = ()
    names: Sequence[str] = ()
    named: Sequence[Any] | None = None

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
        var_list: list[list[Any]] = []
        named: list[list[Any]] = []
        if variables is None:  # one that is not trained will be none of the optimizer's
            trained = [x for x in self.listed if getattr(x, "trainable", True)]
            var_list = [[None, path(x)] for x in trained]
        else:
            keys = {key(x) for x in self.listed}
            for place, variable in enumerate(variables):
                if excluded[place]:
                    which = var_list if key(variable) in keys else named
                    which.append([place, path(variable)])
        return {
            "var_list": var_list,
            "var_names": list(self.names),
            "named": named,
            "count": None if variables is None else len(variables),
        }

    @classmethod
    def found(cls, config: Mapping[str, Any], variables: Sequence[Any]) -> Excluded:
        """What a config excludes of an optimizer's variables.

        Raises:
            ValueError: a variable of `var_list` is not among them.
        """
        var_list, names, named = config["var_list"], config["var_names"], config["named"]
        if config["count"] == len(variables) and all(
            _last(path(variables[place])) == _last(old) for place, old in [*var_list, *named]
        ):
            listed = [variables[place] for place, _ in var_list]
            return cls(listed, names, [variables[place] for place, _ in named])
        return cls(_by_path([old for _, old in var_list], variables), names)


def _by_path(paths: Sequence[str], variables: Sequence[Any]) -> list[Any]:
    """The variables with these paths, or with paths that end in them or that they end in."""
    result = []
    for wanted in dict.fromkeys(paths):
        same = [x for x in variables if path(x) == wanted] or [
            x for x in variables if _ends(path(x), wanted) or _ends(wanted, path(x))
        ]
        if len(same) != paths.count(wanted):
            raise ValueError(
                f"exclude_from_weight_decay: the config names the variable {wanted!r}, but "
                f"{len(same)} of the {len(variables)} variables are called so; legal: a path that "
                "only it has, or a call of exclude_from_weight_decay before the optimizer is built"
            )
        result += same
    return result


def _ends(whole: str, end: str) -> bool:
    return whole.endswith(f"/{end}")


def _last(whole: str) -> str:
    return whole.rpartition("/")[2]
