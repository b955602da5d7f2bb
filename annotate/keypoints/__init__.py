"""Keypoint providers: one file each, found by file name."""
