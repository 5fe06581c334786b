"""Every pair of numbers of 16 bits, judged, and the certificate that says so.

It may import what is below it (`verify` and the rooms under that) and nothing of `proof`. Rich is
for `bar` alone, Dask's scheduler for `cluster` alone.
"""
