"""Rigid objects: their meshes, first poses from clicks, and their tracks through a sequence."""
