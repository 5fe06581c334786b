"""pytest judges my_lion.port: each check is a test of its own."""

import lion_conformance

from my_lion import port


class TestMyLion(lion_conformance.PortTests):
    """Options are class attributes: dtypes, max_examples, seed."""

    port = port
    max_examples = 5  # Triton's interpreter is slow
