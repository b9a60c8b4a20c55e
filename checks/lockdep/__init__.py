# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about lockdep assertions and might_lock() on the mmap lock; one file and one page a rule."""
