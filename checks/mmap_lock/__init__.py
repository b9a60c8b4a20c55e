# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about the mmap locking API (include/linux/mmap_lock.h); one file and one page a rule."""
