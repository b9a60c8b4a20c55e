# SPDX-License-Identifier: GPL-2.0-or-later
"""C as rules see it: tokens, statements, functions, flow, from a hunk alone or from a whole file.

Belongs here: reading C that may be cut off anywhere, and saying what is not known. Does not belong
here: mail, diffs' text, what a rule thinks. Pure.
"""
