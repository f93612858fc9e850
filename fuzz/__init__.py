"""Fuzzing of everything that reads what others wrote: `python -m fuzz`. Never part of the wheel.

A *target* is a function `run(case)` of a JSON value that raises when it finds a defect. A *case* is made by
`make(choose)` from a series of choices, which any engine can supply: hypothesis, atheris (coverage-guided), or a plain
seed. What was found once stays in tests/fuzz/corpus/<target>/ as a JSON file and is run again by the tests.

The contract: whatever JSON of the right outer shape a service sends, the check gives samples (finite numbers, declared
names) or a typed error of one line; never another exception, never a NaN, never an endless loop.
"""
