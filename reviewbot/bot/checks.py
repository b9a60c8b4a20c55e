# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks for Patchwork: posting those that reviews left in the ledger, and trying again.

Belongs here: when; how is `patchwork`'s.
"""

from __future__ import annotations

from datetime import timedelta

from reviewbot.bot.site import Event, Site
from reviewbot.model import ReviewbotError, TemporaryError
from reviewbot.patchwork import Patchwork, Posted, State, is_configured

# When a check that could not be posted is tried again; doubled each time.
_AGAIN = timedelta(minutes=10)


def post_checks(site: Site) -> None:
    """Post the checks that are wanted. What Patchwork does not have yet is tried again for some hours."""
    if not is_configured(site.config.patchwork) or site.kill_switch():
        return
    wanted = site.ledger.wanted_checks(site.now())
    if not wanted:
        return
    with Patchwork(site.config.patchwork) as patchwork:
        for check in wanted:
            try:
                posted = patchwork.post(check.message_id, State(check.state), check.description)
            except TemporaryError as error:
                due = site.now() + _AGAIN * 2**check.tries if check.tries < 10 else None
                site.ledger.settle_check(check.message_id, str(error)[:300], site.now(), due)
                site.trouble(error)
                return  # the server is not well: the others would fare the same
            again = posted is Posted.NO_PATCH and check.tries < 6
            due = site.now() + _AGAIN * 2**check.tries if again else None
            site.ledger.settle_check(check.message_id, posted, site.now(), due)
            if posted is Posted.FORBIDDEN:
                if check.tries == 0:
                    site.trouble(ReviewbotError(f"'{site.config.patchwork.url}' does not let us post checks"))
                return
            if posted is Posted.POSTED:
                site.tell(Event("check", check.message_id, check.state, check.description))
