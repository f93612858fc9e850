"""Fuzzing of everything that reads foreign data: `python -m fuzz`. Never part of the wheel.

A *target* is a function `run(case)` of a JSON value that raises when it finds a defect. A *case* is made by
`make(choose)` from a series of choices, which any engine can supply: hypothesis, atheris (coverage-guided), or a plain
seed. A failing case stays in tests/fuzz/corpus/<target>/ as a JSON file, and the tests run it again.

The contract: for any JSON of the right outer shape, the check returns samples (finite numbers, declared names) or a
typed error of one line; never another exception, a NaN, or an endless loop.
"""
