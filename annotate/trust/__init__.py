"""How far labels can be trusted: checks that need no truth, and the figures of a whole dataset."""
