"""Dataset readers: one file each, found by file name."""
