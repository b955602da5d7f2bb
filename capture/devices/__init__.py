"""Cameras and sensors: one file each, found by file name."""
