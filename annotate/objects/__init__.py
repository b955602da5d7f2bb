"""Rigid objects: their meshes, first poses from clicks, and their tracks through a sequence."""

from annotate.objects.fit_all import Placed, fit_objects, fit_placed, place_objects
from annotate.objects.track import ObjectFit, Scene

__all__ = ["ObjectFit", "Placed", "Scene", "fit_objects", "fit_placed", "place_objects"]
