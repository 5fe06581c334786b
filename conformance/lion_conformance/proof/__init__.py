"""Whether an update equals the reference for every value: expressions instead of numbers.

`symbols` runs lion_ref's own composition on symbols; `normal` and the rules beside it bring
expressions into one form; `cases` compares them; `prove` says what that proves.
"""
