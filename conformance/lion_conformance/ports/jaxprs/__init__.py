"""JAX functions as expressions: their jaxprs, the programs that JAX hands to its compiler, XLA.

What is had is the program before XLA optimizes it. XLA may contract a product and a sum, or leave a
rounding to 16 bits out, where nothing in the program forbids it; of that a jaxpr says nothing. What
it does say holds for the platform: XLA on a CPU computes with subnormals flushed.

`primitives` has what each of JAX's operations comes to, `program` walks through a jaxpr, `scalars`
brings recorded numbers into one, `tracing` makes it. May import `recording`.
"""
