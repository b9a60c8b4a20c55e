# SPDX-License-Identifier: GPL-2.0-or-later
"""The texts of the mails that reviewbot writes, for jinja2; no code.

Belongs here: wording. What may be quoted, headers and recipients are `reviewbot.reply`'s. Pure.

`patch.j2` is the reply to one patch, `series.j2` the one reply for a series; both extend `mail.j2`. A file
of the same name in one's own directory (`reply.template-dir`, or a list's `template-dir`) goes before the
packaged one, and can extend it: `{% extends "packaged/patch.j2" %}`. Blocks: `intro`, in it `found` and
`history`; `section`, once for each patch spoken of; `footer`. Filters beside jinja2's: `wrap` fills a
paragraph to 72 columns, in ASCII (an argument is kept in one piece behind it); `count` makes "2 patches"
of 2 and "patch".

What a template may use; these names stay:

    version       what checked: the rule set's version
    per           "patch" or "series"
    series        what was checked: .subject, .revision (1 where the posting does not say), .expected (patches
                  that the posting says it has), .message_id
    checked       patches that were looked at
    base          what they were checked for and how that is known: "v6.9, from the mail's date"
    counts        "1 error, 2 warnings": what this mail is about, held back ones included
    held_back     the same of those that are not said; "" where all are
    large         they are held back because the mail would be too long, not for the budget
    budget        findings that a mail may say
    elsewhere     other patches whose findings are in mails of their own
    silent        patches without findings
    unread        pieces of diffs that could not be read
    fixed         findings mailed for earlier revisions and gone now, each .rule, .path ("" where it was about the
                  message), .revision; empty but in the first mail of a set
    still         findings mailed or answered before, still there and not repeated; 0 but in the first mail
    sections      patches spoken of, in order, each .heading (a quoted Subject: line, "" where that patch is what
                  is answered), .patch and .quotes; of each quote .lines (quoted, as they are to stand) and
                  .remarks; of each remark .text, .tag ("[rule, severity]"), .suggestion (lines, may be empty),
                  .notes (lines, mostly none) and .finding
    docs          URL of the rules' pages; None where none is configured
    command       the command that shows the same

Whatever a template writes above the signature (`-- `) cannot become a trailer or a word to reviewbot: such a
line gets "| " before it. Characters that act on a terminal become visible ones.
"""
