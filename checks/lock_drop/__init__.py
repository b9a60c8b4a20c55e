# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about callers and handlers that may drop the mmap lock; one file and one page a rule."""
