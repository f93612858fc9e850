"""A dashboard as one self-contained page, drawn from recorded data: see data.py, evaluate.py, page.py."""
