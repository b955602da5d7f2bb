"""Rigid objects: their meshes, first poses from clicks, and their tracks through a sequence."""

from annotate.objects.fit_all import fit_objects
from annotate.objects.track import ObjectFit

__all__ = ["ObjectFit", "fit_objects"]
