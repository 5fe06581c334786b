"""Where a port is wrong, if only in places: the simplest rule that its answers bear out.

`find.find_region` asks the port itself. `setup` and `scan` make cases that differ in one thing,
`pool` keeps the answers, `features` are what can be asked of an element or a case, `candidates`
are the rules that part wrong from right, and `straddle` finds their edges with fresh cases.
"""
