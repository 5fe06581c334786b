"""Kernels in PTX, NVIDIA's portable assembly, run without a GPU: NumPy takes all threads at once.

It knows `ports` and `operations`.
"""
