# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about pinned pages and how they are let go; one file and one page a rule."""
