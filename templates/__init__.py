# SPDX-License-Identifier: GPL-2.0-or-later
"""The texts of the mails that reviewbot writes, for jinja2; no code."""
