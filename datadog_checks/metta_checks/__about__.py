"""The version of the wheel and of the check."""

__version__ = '0.2.0'
