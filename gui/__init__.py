# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows over `capture` and `annotate`; the only package that uses Qt. Importing it starts nothing."""
