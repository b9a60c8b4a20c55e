# SPDX-License-Identifier: GPL-2.0-or-later
"""Who a trailer is of, what it says, and where it stands in a mail.

Belongs here: what the rules about trailers share. Which mails' trailers count is b4's to say (`Series.followups`): it
leaves out those of which the mail is somebody else's. Pure, and linear: the text is anybody's.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from itertools import permutations

from reviewbot.dossier import message_lines, message_span
from reviewbot.matching import changes
from reviewbot.model import Address, Patch, Span

_PERSON = re.compile(r"([^<>]{0,200})<\s*([^<>\s]{1,200})\s*>")
_BARE = re.compile(r"([^<>@]{0,200}?)([^\s<>@]{1,100}@[^\s<>@]{1,100})")
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
    value = value[:500].replace("mailto:", "")
    if match := _PERSON.match(value):
        return Address(match[1].strip().strip("\"'").strip(), match[2])
    return Address(match[1].strip(), match[2]) if (match := _BARE.match(value.strip())) else None


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
    if mine == theirs or _joined(mine) & _joined(theirs):
        return True
    # one of them may give more names than the other
    return min(len(mine), len(theirs)) > 1 and (mine <= theirs or theirs <= mine)


@lru_cache(maxsize=1000)
def _joined(name: frozenset[str]) -> frozenset[str]:
    """As it is written in one word: adaranger, rangerada."""
    return frozenset("".join(words) for words in permutations(name)) if len(name) <= 3 else frozenset()


@lru_cache(maxsize=1000)
def _name(name: str) -> frozenset[str]:
    plain = unicodedata.normalize("NFKD", _COMMENT.sub(" ", name[:200]))
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return frozenset(_WORDS.findall(plain.casefold()))


def trailer_span(patch: Patch, name: str, person: Address) -> Span | None:
    """Where a person's trailer stands in a patch, best the one of this name; None where none does."""
    found: Span | None = None
    for number, text in message_lines(patch):
        said, colon, value = text[:500].partition(":")
        if not colon or not kinds_of(said) or not (other := person_of(value.strip())) or not same_person(other, person):
            continue
        if said.lower() == name.lower():
            return message_span(patch, number)
        found = found or message_span(patch, number)
    return found


def code_changes(patch: Patch) -> Counter[str]:
    """What a patch changes (`matching.changes`) without the lines of comments."""
    return Counter({line: n for line, n in changes(patch).items() if not _REMARK.match(line)})


def skeleton(lines: Counter[str]) -> Counter[str]:
    """Lines without their names: what has only been renamed is the same."""
    found: Counter[str] = Counter()
    for line, times in lines.items():
        found[line[:1] + _WORD.sub("x", line[1:500])] += times
    return found


_REMARK = re.compile(r".(?:/\*|\*[ /]|\*$|//|#(?! ?(?:if|el|endif|define|undef|include))|\.\. )")
_WORD = re.compile(r"\w+")


def free_text(text: str) -> bool:
    """Somebody has written something below the ---: more than a list of files, links and trailers."""
    return any(line.strip() and not _MADE.match(line[:500]) for line in text.split("\n"))


_MADE = re.compile(
    r"\s*(?:---\s*$|-- ?$|\S[^|]{0,300}\| +(?:\d+|Bin)\b|\.{3}/|\d+ files? changed\b"
    r"|(?:create|delete|rename|mode|copy|rewrite) |<?https?://\S+$|[A-Za-z-]{2,30}: \S+$|[A-Z][a-z-]{1,30}-by: )"
)
