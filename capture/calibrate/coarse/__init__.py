"""Calibrates a sensor whose pixels are too coarse for the board's corners: whole images are predicted and aligned.

`predict` says what it sees of a board, `start` finds a first pose, `align` refines pose and lens, `place` does all of
it for the sensors of a rig whose other cameras are solved.
"""
