"""Devices to synchronised recordings. No Qt, no torch."""
