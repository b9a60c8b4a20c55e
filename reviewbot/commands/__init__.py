# SPDX-License-Identifier: GPL-2.0-or-later
"""One module a command: load, run, render. Thin; what is common to several stands in `common`."""
