# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules: a directory a family, a module and a page of the same name a rule."""
