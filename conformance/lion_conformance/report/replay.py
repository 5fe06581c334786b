"""What a reproduction does when it is run.

This source is copied into every reproduction (`reproduction`), so it stands on Python and NumPy
alone, and on ml_dtypes where a number is a bfloat16.
"""

import base64
import platform
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FEW, MANY, SECONDS = 20, 500, 2.0
"""Calls with the same inputs: at least FEW, and up to MANY within SECONDS.

A port that is not deterministic may be right once, one that keeps something for a while.
"""

SHOWN = 1
"""Elements shown of those that are wrong, of θ' and of m'."""

NAMES = ("param", "momentum", "grad")


def dtype_of(name: str) -> np.dtype[Any]:
    """The dtype of that name."""
    if name != "bfloat16":
        return np.dtype(name)
    import ml_dtypes

    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def numbers(text: str, dtype: np.dtype[Any]) -> Array:
    """Numbers from their bits: words of hexadecimal digits, or packed where there are many."""
    unsigned = np.dtype(f"<u{dtype.itemsize}")
    if text.startswith("zlib "):
        octets = zlib.decompress(base64.b85decode("".join(text.split()[1:])))
        return np.frombuffer(octets, unsigned).astype(unsigned.newbyteorder("=")).view(dtype)
    words = [int(word, 16) for word in text.split()]
    return np.array(words, unsigned.newbyteorder("=")).view(dtype)


def laid_out(flat: Array, shape: tuple[int, ...], layout: str) -> Array:
    """A fresh array that lies in memory as the one did with which the port failed."""
    array = flat.reshape(shape)
    if layout == "every_second":
        spread = np.zeros((*shape[:-1], 2 * shape[-1]), flat.dtype)[..., ::2]
        spread[...] = array
        return spread
    if layout == "shifted":
        longer = np.zeros(flat.size + 1, flat.dtype)
        longer[1:] = flat
        return longer[1:].reshape(shape)
    if layout == "columns":
        wide = np.zeros((*shape[:-1], shape[-1] + 7), flat.dtype)[..., : shape[-1]]
        wide[...] = array
        return wide
    if layout == "channels_last":
        return np.moveaxis(np.moveaxis(array, 1, -1).copy(order="C"), -1, 1)
    if layout == "repeated":
        return np.broadcast_to(array[..., :1].copy(), shape)
    if layout == "rows_repeated":
        return np.broadcast_to(array[:1].copy(), shape)
    if layout == "one_repeated":
        return np.broadcast_to(array.reshape(-1)[:1].copy().reshape([1] * array.ndim), shape)
    if layout == "read_only":
        copy = array.copy(order="C")
        copy.flags.writeable = False
        return copy
    return np.array(array, order="F" if layout == "transposed" else "C")


def stepped(port: Any, arrays: list[Array], scalars: dict[str, float]) -> Any:
    """One step: of a callable, or of a lion_conformance.Port."""
    with np.errstate(all="ignore"):
        if not hasattr(port, "open"):
            return port(*arrays, **scalars)
        betas = {name: scalars[name] for name in ("beta1", "beta2")}
        session = port.open([arrays[0]], [arrays[1]], **betas)
        session.step([arrays[2]], lr=scalars["lr"], weight_decay=scalars["weight_decay"])
        params, momenta = session.read()
        return params[0], momenta[0]


def same_bits(first: Array, second: Array) -> Array:
    """Equal bits, or both NaN."""
    unsigned = f"u{first.dtype.itemsize}"
    patterns = [np.ascontiguousarray(x).view(unsigned) for x in (first, second)]
    return np.asarray((patterns[0] == patterns[1]) | (np.isnan(first) & np.isnan(second)))


def right(case: dict[str, Any], name: str, got: Array) -> Array:
    """Which elements are as they should be."""
    expected = numbers(case["expected"][name], got.dtype)
    fine = same_bits(got, expected)
    if case["accepted"] is None:
        return fine
    value = got.astype(np.float64)
    for ends in case["accepted"][name]:
        low, high = (numbers(end, got.dtype).astype(np.float64) for end in ends)
        fine = fine | ((low <= value) & (value <= high))
    for outcome, test in (("nan", np.isnan), ("inf", np.isposinf), ("-inf", np.isneginf)):
        where = case["outcomes"][name].get(outcome)
        if where is not None:
            fine = fine | (test(value) & numbers(where, np.dtype(np.uint8)).astype(bool))
    return fine


def shown(array: Array, index: int) -> str:
    """One element in hexadecimal and in decimal."""
    one = np.ascontiguousarray(array[index : index + 1])
    pattern = int(one.view(f"u{one.dtype.itemsize}")[0])
    return f"{array.dtype.name:8} 0x{pattern:0{2 * one.dtype.itemsize}x} {one[0]!s}"


def of_element(case: dict[str, Any], name: str, index: int) -> Iterator[str]:
    """What is accepted of one element, one interval a line."""
    dtype = dtype_of(case[name][0])
    for ends in (case["accepted"] or {}).get(name, ()):
        low, high = (numbers(end, dtype) for end in ends)
        if low[index] <= high[index]:
            yield f"{shown(low, index)}  to  {shown(high, index)}"
    for outcome, where in (case["outcomes"] or {}).get(name, {}).items():
        if numbers(where, np.dtype(np.uint8))[index]:
            yield outcome


def faults(case: dict[str, Any], port: Any) -> list[str]:
    """What is wrong with the port's answer to the case, as lines; none if it is right."""
    flat = [numbers(case[name][1], dtype_of(case[name][0])) for name in NAMES]
    layouts = [case["layout"].get(name, "plain") for name in NAMES]
    inputs = [laid_out(x, case["shape"], how) for x, how in zip(flat, layouts, strict=True)]
    try:
        result = stepped(port, inputs, case["scalars"])
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is no answer
        return [f"the port raised {type(error).__name__}: {error}"]
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        return [f"the port returned {result!r:.200}; legal: a tuple (param, momentum)"]
    for name, array, before in zip(NAMES, inputs, flat, strict=True):
        if hasattr(port, "open") and name != "grad":
            continue  # a session's parameters and momenta are its own
        if not same_bits(array.reshape(-1), before).all():
            return [f"the port changed its input {name}; legal: inputs are only read"]
    lines = []
    for name, got, given in zip(NAMES[:2], result, inputs[:2], strict=True):
        if not isinstance(got, (np.ndarray, np.generic)) or isinstance(got, np.ma.MaskedArray):
            return [f"the port returned a {type(got).__name__} for {name}; legal: a NumPy array"]
        answer = np.asarray(got)
        if (answer.dtype, answer.shape) != (given.dtype, given.shape):
            returned = f"{answer.dtype} of shape {answer.shape}"
            legal = f"{given.dtype} of shape {given.shape}, as given"
            return [f"the port returned {name} as {returned}; legal: {legal}"]
        answer = answer.reshape(-1)
        with np.errstate(all="ignore"):
            wrong = np.flatnonzero(~right(case, name, answer))
        if wrong.size:
            lines.append(f"{name}: {wrong.size} of {answer.size} elements are wrong")
        for i in wrong[:SHOWN].tolist():
            lines.append(f"  element {i}")
            lines += [f"    given    {n:8} {shown(x, i)}" for n, x in zip(NAMES, flat, strict=True)]
            expected = numbers(case["expected"][name], answer.dtype)
            lines.append(f"    expected {name:8} {shown(expected, i)}")
            lines += [f"    accepted {name:8} {text}" for text in of_element(case, name, i)]
            lines.append(f"    got      {name:8} {shown(answer, i)}")
    return lines


def replay(case: dict[str, Any], load_port: Callable[[], Any]) -> int:
    """0 if the port is right on the case, 1 if it is wrong, 2 if there is no port to ask."""
    try:
        port = load_port()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - nor is an import that failed
        print(f"the port cannot be had: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    if port is None:
        print("load_port() returns None: put your port there", file=sys.stderr)
        return 2
    found = asked(case, port)
    if found:
        print("WRONG: the port gives what is not accepted")
        print("\n".join(found))
        print(f"it was found as: {case['title']}")
    else:
        print("RIGHT: every result is accepted")
        if case["others"]:
            print(f"{', '.join(case['others'])} fell short too: judge the port again")
    about(case)
    return 1 if found else 0


def asked(case: dict[str, Any], port: Any) -> list[str]:
    """What is wrong with the first answer that is, of many."""
    begin = time.monotonic()
    for call in range(MANY):
        if call >= FEW and time.monotonic() - begin > SECONDS:
            break
        found = faults(case, port)
        if found:
            return found
    return []


def about(case: dict[str, Any]) -> None:
    """Print what was asked, and the versions then and now."""
    scalars = ", ".join(f"{name}={value!r}" for name, value in case["scalars"].items())
    print(f"shape {case['shape']}, layout {case['layout'] or 'plain'}, {scalars}")
    for package in case["versions"]:
        now = platform.python_version() if package == "python" else ""
        try:
            now = now or version(package)
        except PackageNotFoundError:
            now = "absent"
        print(f"{package}: found with {case['versions'][package]}, now {now}")
