"""What every part of the toolkit agrees on: types, conventions, geometry, the hand, the file format."""

__version__ = "0.1.0"
