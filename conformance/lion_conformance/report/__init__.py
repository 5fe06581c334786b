"""What was found, as plain values (`findings`, `counterexample`), and every format of it.

May import runs and what that may import; the values know no format.
"""
