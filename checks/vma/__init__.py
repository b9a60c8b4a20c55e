# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about lifetime and flags of struct vm_area_struct; one file and one page a rule."""
