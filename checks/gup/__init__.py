# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about FOLL flags and the get_user_pages()/pin_user_pages() interface; one file and one page a rule."""
