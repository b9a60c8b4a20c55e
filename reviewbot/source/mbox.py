# SPDX-License-Identifier: GPL-2.0-or-later
"""Mail out of files: an mbox (also gzipped), a mail, a maildir, a directory of mails, standard input.

Reads the disk; what a mail says is left to `reviewbot.mime`.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from os import PathLike
from stat import S_ISDIR

from reviewbot.mime import split_mbox
from reviewbot.model import InputError, NotFoundError
from reviewbot.source import MAX_RELATED, MAX_UNPACKED, Lineage, cannot_open, look, read_head, thread_members

_MAIL_FILES = (".eml", ".patch", ".mbox", ".mbx", ".mbox.gz")
_GZIP = b"\x1f\x8b"


class MboxSource:
    """The mails of one file, of a maildir, or of a directory's *.eml, *.patch and *.mbox; '-' is standard input.

    Files are read each time they are asked for; standard input, which can be read only once, is kept.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        """Raises InputError where `path` cannot be opened or holds no mail files."""
        name = os.fspath(path)
        self.name = "standard input" if name == "-" else name
        self._stdin: bytes | None = None
        self._files = None if name == "-" else _files(name)

    def mails(self) -> Iterator[tuple[str, bytes]]:
        """(file name, raw mail) of every mail, in the order of the file names and within them.

        Raises InputError where a file cannot be read or there is no mail at all.
        """
        empty = True
        for name, data in self._contents():
            for mail in split_mbox(data) if data.strip() else ():
                empty = False
                yield name, mail
        if empty:
            raise InputError(f"no mail in '{self.name}': it is empty")

    def thread(self, message_id: str) -> list[bytes]:
        """See `Source.thread`; in the order of the file. Raises InputError where a file cannot be read."""
        mails = [raw for _, raw in self.mails()]
        members = thread_members([read_head(raw) for raw in mails], message_id)
        if not members:
            raise NotFoundError(f"no mail <{message_id}> in '{self.name}'")
        return [mails[n] for n in members]

    def related(self, lineage: Lineage) -> list[bytes]:
        """See `Source.related`; in the order of the file. Raises InputError where a file cannot be read."""
        return list(deque((raw for _, raw in self.mails() if lineage.claims_raw(raw)), MAX_RELATED))

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        if self._files is None:
            if self._stdin is None:
                self._stdin = _unpack(self.name, sys.stdin.buffer.read())
            yield self.name, self._stdin
            return
        for file in self._files:
            try:
                with open(file, "rb") as stream:
                    data = stream.read()
            except OSError as error:
                raise cannot_open(file, error) from error
            yield file, _unpack(file, data)


def _files(path: str) -> list[str]:
    if not S_ISDIR(look(path).st_mode):
        return [path]
    try:
        parts = [part for name in ("cur", "new") if os.path.isdir(part := os.path.join(path, name))]
        if parts:
            # tmp/ holds what is still being delivered; names begin with the time of delivery
            mails = [os.path.join(part, name) for part in parts for name in os.listdir(part)]
            return sorted(mails, key=os.path.basename)
        found = sorted(os.path.join(path, name) for name in os.listdir(path) if name.lower().endswith(_MAIL_FILES))
    except OSError as error:
        raise cannot_open(path, error) from error
    if not found:
        raise InputError(f"no mail in '{path}': neither a public-inbox archive nor a maildir, and no *.eml or *.patch")
    return found


def _unpack(name: str, data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        return data
    import gzip
    import io
    import zlib

    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MAX_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot unpack '{name}': {str(error) or 'it is cut off'}") from error
    if len(unpacked) > MAX_UNPACKED:
        raise InputError(f"'{name}' is too large: it unpacks to more than {MAX_UNPACKED >> 20} MiB")
    return unpacked
