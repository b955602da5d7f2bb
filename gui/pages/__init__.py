# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the recording window; each is a widget that the window fills and listens to."""
