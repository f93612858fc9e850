"""A dashboard as one self-contained page, drawn from recorded data: see recording.py, evaluate.py, page.py."""
