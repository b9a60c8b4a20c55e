# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about the per-VMA lock; one file and one page a rule."""
