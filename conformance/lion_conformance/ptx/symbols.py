"""The same machine on symbols: a lane of a register holds a number or an expression.

Where a branch or a predicate depends on a symbol, its lane goes both ways, each under its
condition, and what it writes there is chosen by it. Addresses and loops have to be numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lion_conformance.operations.evaluate import evaluator
from lion_conformance.operations.expression import Node, leaf, made
from lion_conformance.operations.operation import WIDTHS, Operation
from lion_conformance.operations.traced import NotTracedError
from lion_conformance.ptx.memory import Allocation, Memory
from lion_conformance.ptx.paths import ALWAYS, Condition, as_node, both, chosen, either
from lion_conformance.ptx.program import Block, Step
from lion_conformance.ptx.run import DTYPES, Run, Work
from lion_conformance.ptx.syntax import Instruction

Array = npt.NDArray[Any]

UNDEFINED = "undefined"
"""The leaf for what nobody wrote: whoever stores only under a condition leaves it elsewhere."""


def objects(values: list[Any]) -> Array:
    """Values in an array as they are."""
    held = np.empty(len(values), object)
    held[:] = values
    return held


def _argument_types(operation: Operation, count: int) -> list[str]:
    if operation.name == "select":
        return ["pred", operation.type, operation.type]
    if operation.name in {"compare", "convert", "extract", "concat"}:
        return [operation.source] * count
    if operation.name in {"shl", "shr"}:
        return [operation.type, "u32"]
    return [operation.type] * count


@lru_cache(maxsize=4096)
def symbolic_evaluator(operation: Operation) -> Callable[..., Array]:
    """The operation on arrays of which any may hold expressions."""
    numeric = evaluator(operation)
    width = 1 if operation.name == "compare" else WIDTHS[operation.type]
    result_type = DTYPES[width]

    def evaluate(*arguments: Array) -> Array:
        if all(argument.dtype != object for argument in arguments):
            return numeric(*arguments)
        kinds = _argument_types(operation, len(arguments))
        lists = [a.tolist() for a in np.broadcast_arrays(*arguments)]
        results: list[Any] = []
        numbers: list[int] = []
        for lane, values in enumerate(zip(*lists, strict=True)):
            if operation.name == "select" and not isinstance(values[0], Node):
                results.append(values[1] if values[0] else values[2])
            elif any(isinstance(value, Node) for value in values):
                nodes = (as_node(v, kind) for v, kind in zip(values, kinds, strict=True))
                results.append(made(operation, *nodes))
            else:
                numbers.append(lane)
                results.append(values)
        if numbers:
            columns = zip(*[results[lane] for lane in numbers], strict=True)
            known = numeric(
                *[np.array(c, DTYPES[WIDTHS[k]]) for c, k in zip(columns, kinds, strict=True)]
            ).tolist()
            for lane, value in zip(numbers, known, strict=True):
                results[lane] = value
        if any(isinstance(value, Node) for value in results):
            return objects(results)
        return np.array(results, result_type)

    return evaluate


class SymbolicAllocation(Allocation):
    """An array whose cells may hold expressions, once one was stored or it began with them."""

    cells: Array | None = None
    """A number or an expression for each grain."""

    def refine(self, grain: int) -> None:
        """Tell smaller cells apart, in expressions too."""
        if grain < self.grain and self.cells is not None:
            old, parts = self.grain, self.grain // grain
            pieces = [
                symbolic_evaluator(
                    Operation(
                        "extract", f"b{8 * grain}", source=f"b{8 * old}", low=8 * grain * part
                    )
                )(self.cells)
                for part in range(parts)
            ]
            self.cells = np.stack([piece.astype(object) for piece in pieces], 1).ravel()
        super().refine(grain)

    def load(self, index: Array, width: int) -> Array:
        """What these cells hold: of several smaller ones, their pieces side by side."""
        if self.cells is None:
            return super().load(index, width)
        self.refine(width)
        parts = width // self.grain
        if parts == 1:
            return _numbers_if_so(self.cells[index], width)
        pieces = [self.cells[index * parts + part] for part in range(parts)]
        packing = Operation("concat", f"b{8 * width}", source=f"b{8 * self.grain}")
        return symbolic_evaluator(packing)(*pieces)

    def store(self, index: Array, width: int, value: Array) -> None:
        """Change these cells."""
        if self.cells is None:
            if value.dtype != object:
                super().store(index, width, value)
                return
            self.open(width)
        self.refine(width)
        cells = np.asarray(self.cells)
        parts = width // self.grain
        for part in range(parts):
            piece = value
            if parts > 1:
                cut = Operation(
                    "extract",
                    f"b{8 * self.grain}",
                    source=f"b{8 * width}",
                    low=8 * self.grain * part,
                )
                piece = symbolic_evaluator(cut)(value)
            cells[index * parts + part] = piece.astype(object)

    def open(self, width: int) -> None:
        """Make room for expressions: what is not written yet is the leaf UNDEFINED."""
        self.refine(width)
        cells = self.views[self.grain].astype(object)
        if self.written is not None:
            known = np.zeros(cells.size, np.bool_)
            known[: self.written.size] = self.written
            cells[~known] = leaf(UNDEFINED, f"b{8 * self.grain}")
        self.cells = cells


def _numbers_if_so(values: Array, width: int) -> Array:
    if any(isinstance(value, Node) for value in values.tolist()):
        return values
    return values.astype(DTYPES[8 * width])


class SymbolicMemory(Memory):
    """Arrays that hold numbers, or symbols."""

    kind = SymbolicAllocation

    def place_symbols(
        self, name: str, kind: str, size: int, *, written: bool = True, offset: int = 0
    ) -> int:
        """An array of `size` leaves of this name and type; or, unwritten, of nothing yet."""
        zeros = np.zeros(size, DTYPES[WIDTHS[kind]])
        address = self.place(name, zeros, written=written, offset=offset)
        held = self.named(name)
        if written:
            index = np.arange(size) + held.lead // held.grain
            held.store(index, held.grain, objects([leaf(name, kind, i) for i in range(size)]))
        elif isinstance(held, SymbolicAllocation):
            held.open(held.grain)
        return address

    def read_symbols(self, name: str, kind: str) -> tuple[Node, ...]:
        """What each element of an array holds now."""
        held = self.named(name)
        width = WIDTHS[kind] // 8
        values = held.load(np.arange(held.size // width) + held.lead // width, width)
        return tuple(as_node(value, kind) for value in values.tolist())


class SymbolicRun(Run):
    """Lanes that hold expressions, and go several ways at once."""

    paths: Array | None = None
    """The condition of each lane at work; None where all are there always."""

    def put(self, slot: int, value: Array) -> None:
        """Write a register, as its lane's condition has it."""
        old = self._old(slot)
        if old is not None:
            value = self._chosen(value, old, self.bits[slot], None)
        super().put(slot, value)

    def spread(self, slot: int, active: Array | None, values: Array) -> None:
        """Write a register of the lanes with these numbers."""
        old = self._old(slot)
        if old is not None:
            values = self._chosen(values, old, self.bits[slot], active)
        super().spread(slot, active, values)

    def _old(self, slot: int) -> Array | None:
        """What a register holds, where it stays in it under some condition."""
        if self.paths is None:
            return None
        old: Array | None = self.registers[slot]
        if old is None and slot in self.watched:
            bits = self.bits[slot]
            old = objects([leaf(UNDEFINED, "pred" if bits == 1 else f"b{bits}")])
        return old

    def _chosen(self, new: Array, old: Array, bits: int, active: Array | None) -> Array:
        """New values where the conditions of these lanes hold, old ones elsewhere."""
        assert self.paths is not None  # noqa: S101 -- the callers have looked
        paths = self.paths if active is None else self.paths[active]
        if active is not None and old.size != 1:
            old = old[active]
        lists = [a.tolist() for a in np.broadcast_arrays(new, old, paths)]
        return objects(
            [
                new_value if condition is None else chosen(condition, new_value, old_value, bits)
                for new_value, old_value, condition in zip(*lists, strict=True)
            ]
        )

    def store(self, held: Allocation, index: Array, width: int, value: Array) -> None:
        """Change cells of memory; under a condition, the old value stays elsewhere."""
        if self.paths is not None:
            if isinstance(held, SymbolicAllocation) and held.cells is None:
                held.open(width)
            value = self._chosen(value, held.load(index, width), 8 * width, self.work.active)
        super().store(held, index, width, value)

    def concrete(self, values: Array, instruction: Instruction) -> Array:
        """Addresses, which have to be numbers."""
        if values.dtype != object:
            return values
        listed = np.broadcast_to(values, self.lanes).tolist()
        active = self.work.active
        found = np.zeros(self.lanes, np.uint64)
        for lane in range(self.lanes) if active is None else active.tolist():
            if isinstance(listed[lane], Node):
                raise NotTracedError(
                    f"an address depends on the numbers in the arrays ({instruction.place})"
                )
            found[lane] = listed[lane]
        return found

    # Branches

    def _outcomes(self, predicate: Array, negated: bool) -> tuple[Array, Array, Array, Array]:
        """Lanes at work that say yes, and no, and their conditions; both where a symbol decides."""
        listed = np.broadcast_to(predicate, self.lanes).tolist()
        work = np.ones(self.lanes, np.bool_) if self.mask is None else self.mask
        yes, no = np.zeros(self.lanes, np.bool_), np.zeros(self.lanes, np.bool_)
        yes_paths, no_paths = self._paths_or_none(), self._paths_or_none()
        for lane in np.flatnonzero(work).tolist():
            value = listed[lane]
            if isinstance(value, Node):
                path: Condition = yes_paths[lane] or ALWAYS
                yes_path = both(path, (value, not negated))
                no_path = both(path, (value, negated))
                yes[lane], no[lane] = bool(yes_path), bool(no_path)
                yes_paths[lane] = None if yes_path == ALWAYS else yes_path
                no_paths[lane] = None if no_path == ALWAYS else no_path
            else:
                yes[lane] = bool(value) != negated
                no[lane] = not yes[lane]
        yes_paths[~yes] = None
        no_paths[~no] = None
        return yes, no, yes_paths, no_paths

    def _paths_or_none(self) -> Array:
        return np.full(self.lanes, None, object) if self.paths is None else self.paths.copy()

    def under(self, predicate: Array, negated: bool, step: Step) -> None:
        """Do a step in those of the lanes at work whose predicate says so, or may say so."""
        if predicate.dtype != object:
            super().under(predicate, negated, step)
            return
        yes, _, paths, _ = self._outcomes(predicate, negated)
        if not yes.any():
            return
        work, keep, before = self.work, self.keep, self.paths
        self.work, self.keep = Work(yes, self.numbers), yes
        self.paths = _if_any(paths)
        step(self)
        self.work, self.keep, self.paths = work, keep, before

    def enter(self, lanes: Any, everybody: bool, alone: bool) -> None:
        """Put lanes to work, under their conditions."""
        mask, self.paths = lanes
        super().enter(mask, everybody, alone)

    def here(self) -> Any:
        """The lanes at work, and their conditions."""
        return self.mask, self.paths

    def split(self, predicate: Array, block: Block) -> tuple[Any, Any]:
        """The lanes that a branch takes, and those that go on; a lane may do both."""
        if predicate.dtype != object:
            yes, no = super().split(predicate, block)
            return (
                yes if yes is False else (yes, self.paths),
                no if no is False else (no, self.paths),
            )
        taken, rest, taken_paths, rest_paths = self._outcomes(predicate, block.negated)
        if block.target in range(block.number + 1) and (taken & rest).any():
            raise self._not_traced("how often a loop runs")
        return (
            (taken, _if_any(taken_paths)) if taken.any() else False,
            (rest, _if_any(rest_paths)) if rest.any() else False,
        )

    def joined(self, one: Any, other: Any) -> Any:
        """Both, once they meet; a lane that went both ways is there under either condition."""
        if one[0] is None and one[1] is None:
            return one
        masks = [
            np.ones(self.lanes, np.bool_) if mask is None else mask for mask, _ in (one, other)
        ]
        paths = [np.full(self.lanes, None, object) if p is None else p for _, p in (one, other)]
        merged = np.where(masks[0], paths[0], paths[1])
        for lane in np.flatnonzero(masks[0] & masks[1]).tolist():
            if paths[0][lane] is None or paths[1][lane] is None:
                merged[lane] = None
            else:
                condition = either(paths[0][lane], paths[1][lane])
                merged[lane] = None if condition == ALWAYS else condition
        return masks[0] | masks[1], _if_any(merged)

    left: Array | None = None
    """The conditions under which lanes have come to the end."""

    def leave(self, alive: Array | None, lanes: Any) -> Array:
        """Who is left: a lane is gone when it is so under every condition."""
        mask, paths = lanes
        if paths is None:
            return super().leave(alive, mask)
        mask = np.ones(self.lanes, np.bool_) if mask is None else mask
        if self.left is None:
            self.left = np.full(self.lanes, None, object)
        gone = mask.copy()
        for lane in np.flatnonzero(mask).tolist():
            if paths[lane] is not None:
                before: Condition = self.left[lane] or frozenset()
                self.left[lane] = either(before, paths[lane])
                gone[lane] = self.left[lane] == ALWAYS
        return super().leave(alive, gone)

    def _not_traced(self, what: str) -> NotTracedError:
        end = self.block.instruction if self.block is not None else None
        place = f" ({end.place})" if end is not None else ""
        return NotTracedError(f"{what} depends on the numbers in the arrays{place}")

    def wait(self, lanes: Any) -> Array:
        """Lanes at a barrier, which they have to come to whatever the numbers."""
        mask, paths = lanes
        if paths is not None:
            raise self._not_traced("whether a thread comes to a barrier")
        return super().wait(mask)

    def resume(self, mask: Array) -> Any:
        """Lanes after a barrier."""
        return mask, None


def _if_any(paths: Array | None) -> Array | None:
    """Conditions, if any lane has one."""
    if paths is None or all(path is None for path in paths.tolist()):
        return None
    return paths
