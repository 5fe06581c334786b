"""pytest judges my_lion.step: each check in each dtype is a test of its own."""

import lion_conformance

from my_lion import step


class TestMyLion(lion_conformance.PortTests):
    """Options are class attributes: dtypes, max_examples, seed."""

    port = staticmethod(step)
    dtypes = ("float32", "bfloat16")  # without this line: all that it takes
