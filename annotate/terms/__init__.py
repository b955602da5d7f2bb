"""Terms of the fit: one file each, found by file name."""
