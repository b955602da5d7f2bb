"""One file per command; the only place that may import every package."""
