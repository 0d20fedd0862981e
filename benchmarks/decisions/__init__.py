"""How often each automatic decision errs, measured on real rows: ``python -m benchmarks.decisions``, or ``make
bench-decisions``.
"""
