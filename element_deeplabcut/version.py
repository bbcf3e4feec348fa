"""The version of the package, read by setup.py and recorded with every computed row."""

__version__ = "0.1.0"
