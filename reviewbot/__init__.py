# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot: review and lint for kernel patch series. This file holds the version and nothing else."""

__version__ = "0.1.0"
