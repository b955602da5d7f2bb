"""Giving a dataset away: who agreed to it, under which licence, what it holds, and which version it is."""
