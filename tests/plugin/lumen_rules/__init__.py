# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about the lumen driver; one file and one page a rule."""
