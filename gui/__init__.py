# SPDX-License-Identifier: GPL-3.0-or-later
"""PyQt5 windows over capture and annotate: the only Qt in the project."""
