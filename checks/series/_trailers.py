# SPDX-License-Identifier: GPL-2.0-or-later
"""Who a trailer is of, what it says, and where it stands in a mail.

Belongs here: what the rules about trailers share. Which mails' trailers count is b4's to say (`Series.followups`): it
leaves out those of which the mail is somebody else's. Pure, and linear: the text is anybody's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from reviewbot.dossier import message_lines
from reviewbot.model import Address, Patch, Span

_PERSON = re.compile(r"([^<>]{0,200})<\s*([^<>\s]{1,200})\s*>")
_BARE = re.compile(r"([^\s<>@]{1,100}@[^\s<>@]{1,100})")
_COMMENT = re.compile(r"\([^()]{0,100}\)")
_SUBADDRESS = re.compile(r"\+[^@]{1,100}@")
_KINDS = frozenset({"reviewed", "acked", "tested"})
_WORDS = re.compile(r"[^\W_]+")


def kinds_of(name: str) -> frozenset[str]:
    """What a person says with a trailer: "reviewed", "acked", "tested"; nothing for a name that says another thing.

    Reviewed-and-tested-by says two of them.
    """
    words = name.lower().split("-")
    return _KINDS.intersection(words) if words[-1] == "by" else frozenset()


def person_of(value: str) -> Address | None:
    """The person in a trailer's value; None where there is none."""
    if match := _PERSON.match(value):
        return Address(match[1].strip().strip("\"'").strip(), match[2])
    return Address("", match[1]) if (match := _BARE.match(value.strip())) else None


def same_person(one: Address, other: Address) -> bool:
    """The same address as b4 compares them, or the same name.

    What is behind a + does not count, and one domain may be part of the other. Of a name neither case, accents and
    comments count nor the order: "Reader, Rex (external)".
    """
    return _same_address(one.email.lower(), other.email.lower()) or _same_name(one.name, other.name)


def _same_address(one: str, other: str) -> bool:
    """b4.LoreTrailer.email_eq()."""
    if one == other:
        return bool(one)
    mine, theirs = (_SUBADDRESS.sub("@", text).rpartition("@") for text in (one, other))
    if mine == theirs:
        return bool(mine[1])
    if mine[0] != theirs[0] or not mine[0] or abs(mine[2].count(".") - theirs[2].count(".")) != 1:
        return False
    return mine[2].endswith(f".{theirs[2]}") or theirs[2].endswith(f".{mine[2]}")


def _same_name(one: str, other: str) -> bool:
    mine, theirs = _name(one), _name(other)
    if not mine or not theirs:
        return False
    # one of them may give more names than the other
    return mine == theirs or (min(len(mine), len(theirs)) > 1 and (mine <= theirs or theirs <= mine))


def _name(name: str) -> frozenset[str]:
    plain = unicodedata.normalize("NFKD", _COMMENT.sub(" ", name[:200]))
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return frozenset(_WORDS.findall(plain.casefold()))


def trailer_lines(patch: Patch, name: str) -> Iterator[tuple[int, str]]:
    """(line number in the mail's body, text) of each line of the message that begins with this trailer's name."""
    wanted = f"{name.lower()}:"
    for number, text in message_lines(patch):
        if text[: len(wanted)].lower() == wanted:
            yield number, text


def trailer_span(patch: Patch, name: str, value: str) -> Span | None:
    """A trailer of a patch; None where it does not stand in its mail's body."""
    from reviewbot.dossier import message_span

    found = (number for number, text in trailer_lines(patch, name) if text[len(name) + 1 :].strip() == value)
    number = next(found, None)
    return None if number is None else message_span(patch, number)


def free_text(text: str) -> bool:
    """Somebody has written something below the ---: more than a list of files, links and trailers."""
    return any(line.strip() and not _MADE.match(line[:500]) for line in text.split("\n"))


_MADE = re.compile(
    r"\s*(?:---\s*$|-- ?$|\S[^|]{0,300}\| +(?:\d+|Bin)\b|\.{3}/|\d+ files? changed\b"
    r"|(?:create|delete|rename|mode|copy|rewrite) |<?https?://\S+$|[A-Za-z-]{2,30}: \S+$|[A-Z][a-z-]{1,30}-by: )"
)
