# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about a series as a whole: its messages, its revisions, what it leaves behind; one file and one page a rule."""
