# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the annotation window: canvases, the turnable scene, panels, and what a person chose in them."""
