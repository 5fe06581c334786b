"""Code on NumPy's arrays, had as expressions: it is run on arrays that record what is done.

`recorded` has these arrays and numbers with `operators`, `elementwise` what each operation of
NumPy's comes to, `functions` the rest of NumPy, `conversions` its rules between dtypes; `paths`
follows every branch, and `ranges` knows what legal scalars can be; `names` stands in for `np`,
`float` and `math`; `callables` traces a step.

May import `operations` and lion_ref.
"""
