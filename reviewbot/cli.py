# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: arguments, and exceptions -> message and exit code.

Belongs here: what options there are. A command's module is imported when it is called, so that
`check` starts without what only `lore` needs.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from reviewbot import __version__
from reviewbot.config import LIMITS, load_config
from reviewbot.model import ReviewbotError

COMMANDS = {
    "lore": "reviewbot.commands.lore",
    "check": "reviewbot.commands.check",
    "reply": "reviewbot.commands.reply",
    "rules": "reviewbot.commands.rules",
    "watch": "reviewbot.commands.watch",
    "queue": "reviewbot.commands.queue",
    "ledger": "reviewbot.commands.ledger",
    "diff": "reviewbot.commands.diff",
    "index": "reviewbot.commands.index",
    "config": "reviewbot.commands.config",
    "b4-check": "reviewbot.commands.b4_check",
    "b4-prep": "reviewbot.commands.b4_prep",
    "hook": "reviewbot.commands.hook",
}
FORMATS = ("full", "terse", "json", "rdjsonl", "sarif", "github", "b4", "diff")
WHEN = ("auto", "always", "never")
SHELLS = ("bash", "zsh", "fish")
HOOKS = ("sendemail-validate", "pre-commit", "pre-push")
# Commands that another program calls: what went wrong they tell in its own way.
CALLED = ("b4-check", "b4-prep", "hook")
EPILOG = (
    "exit status: 0 nothing to report, 1 findings, 2 usage, configuration or internal error, 75 network, 130 interrupt"
)


# New objects between two looks for garbage; what is alive of one patch may be twice as many.
_GARBAGE = 200_000


class _Formatter(argparse.HelpFormatter):
    """argparse's own asks shutil for the terminal's width, for each option anew, even where no help is printed."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width())


class _Parser(argparse.ArgumentParser):
    def __init__(self, *args: Any, **named: Any) -> None:
        named.setdefault("formatter_class", _Formatter)
        super().__init__(*args, **named)


@cache
def _width() -> int:
    try:
        return int(os.environ["COLUMNS"]) - 2
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(1).columns - 2
    except OSError:
        return 78


def make_parser(only: str | None = None) -> argparse.ArgumentParser:
    """All commands and options; with `only` those of one command: an option takes 0.02 ms, and there are 150."""
    parser = _Parser(prog="reviewbot", description="review kernel patch series", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"reviewbot {__version__}")
    parser.add_argument("--print-completion", choices=SHELLS, action=_Print, help="print the shell's completion script")
    parser.add_argument("--print-man", action=_Print, nargs=0, help="print the manual page")
    # with prog given, argparse need not format a usage (and import shutil) to find it out
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", prog="reviewbot")
    for name, (does, groups) in _OPTIONS.items():
        if only in (None, name):
            command = commands.add_parser(name, help=does, description=does)
            for add in groups:
                add(command)
    return parser


def _common(parser: _Parser) -> None:
    parser.add_argument("--config", metavar="FILE", help="settings, instead of ~/.config/reviewbot/config.toml")
    parser.add_argument(
        "-c", dest="settings", metavar="KEY=VALUE", action="append", help="one setting, as the configuration names it"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="nothing on stderr but errors")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def _choice(parser: _Parser) -> None:
    parser.add_argument("--select", metavar="RULES", action="append", help="only these families, rules or ids (a,b)")
    parser.add_argument("--ignore", metavar="RULES", action="append", help="all but these")
    parser.add_argument("--tree", metavar="DIR", help="git repository of the project: review whole files")


def _branches(parser: _Parser) -> None:
    parser.add_argument(
        "--branch", dest="branches", metavar="NAME", action="append", help="also say whether it applies to this branch"
    )


def _strict(parser: _Parser) -> None:
    parser.add_argument("--strict", action="store_true", help="also what is note, info or of low confidence")


def _screen(parser: _Parser) -> None:
    parser.add_argument("--color", choices=WHEN, default="auto", help="colour: auto asks the terminal and git")
    parser.add_argument("--no-pager", action="store_true", help="never page what is printed on a terminal")


def _result(parser: _Parser) -> None:
    parser.add_argument("--format", choices=FORMATS, help="full on a terminal, terse when piped")
    parser.add_argument("--fail-on", choices=LIMITS, help="least severity that makes the exit status 1 (warning)")
    _screen(parser)


def _document(parser: _Parser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _posting(parser: _Parser) -> None:
    parser.add_argument(
        "target", metavar="MESSAGE-ID", help="Message-ID, archive or Patchwork URL of any mail of the posting"
    )
    parser.add_argument("-m", "--mbox", metavar="PATH", help="read an mbox, maildir, mail or public-inbox directory")
    parser.add_argument("--lore-url", metavar="URL", help="public-inbox server or list to fetch from")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("-v", "--revision", type=_revision, metavar="N", help="another revision of the series")
    which.add_argument("--latest", action="store_true", help="the newest revision of the series")
    parser.add_argument("-P", "--patches", metavar="RANGE", help="only these patches: 1-3,5")


def _diff(diff: _Parser) -> None:
    diff.add_argument(
        "target", metavar="MESSAGE-ID", nargs="?", help="Message-ID, archive or Patchwork URL of any mail of a revision"
    )
    diff.add_argument("-m", "--mbox", metavar="PATH", help="read an mbox, maildir, mail or public-inbox directory")
    diff.add_argument("--lore-url", metavar="URL", help="public-inbox server or list to fetch from")
    which = diff.add_mutually_exclusive_group()
    which.add_argument(
        "-v", dest="versions", metavar="N", nargs="+", help="these two revisions, or this one and the one before it"
    )
    which.add_argument("--latest", action="store_true", help="the newest revision and the one before it")
    diff.add_argument("-P", "--patches", metavar="RANGE", help="only these patches of the newer one: 1-3,5")


def _compared(diff: _Parser) -> None:
    diff.add_argument("--format", choices=("text", "json"), default="text")
    diff.add_argument("--fail-on", choices=LIMITS, help="least severity that makes the exit status 1 (warning)")
    _screen(diff)


def _check(check: _Parser) -> None:
    check.add_argument(
        "what",
        nargs="*",
        metavar="RANGE or FILE",
        help="commits (default: @{upstream}..HEAD, or b4's prep branch), *.patch, mbox, maildir; - is standard input",
    )
    check.add_argument("--staged", action="store_true", help="what is staged for the next commit")
    check.add_argument("--fix", action="store_true", help="apply the safe suggestions to a clean work tree")
    check.add_argument("--baseline", metavar="FILE", help="findings in this file are known and not shown")
    check.add_argument("--write-baseline", metavar="FILE", help="write what is found now to such a file")
    check.add_argument("--tool", metavar="NAME", action="append", help="run this configured tool, too")
    check.add_argument("--no-tools", action="store_true", help="run none of the configured tools")


def _reply(reply: _Parser) -> None:
    way = reply.add_mutually_exclusive_group()
    way.add_argument("-o", "--output", metavar="DIR", help="write drafts (mbox) instead of printing them")
    way.add_argument("--send", action="store_true", help="ask, and send them as the policy allows")
    reply.add_argument("--yes", action="store_true", help="with --send: do not ask")


def _watch(watch: _Parser) -> None:
    watch.add_argument("--dry-run", action="store_true", help="say what would be sent, and why not; change nothing")
    watch.add_argument("--since", metavar="WHEN", help="replay from there on (implies --dry-run): 2026-01-31 or 30d")
    watch.add_argument("--until", metavar="WHEN", help="with --since: replay up to there")


def _queue(queue: _Parser) -> None:
    queue.add_argument(
        "action",
        nargs="?",
        choices=("list", "show", "approve", "drop"),
        default="list",
        help="list them (the default), show some, send some, or never send them",
    )
    queue.add_argument("ids", nargs="*", metavar="NUMBER", help="of the mails, as the list has them")
    queue.add_argument("--reason", default="", metavar="TEXT", help="with drop: why")


def _ledger(ledger: _Parser) -> None:
    about = ledger.add_mutually_exclusive_group()
    about.add_argument("name", nargs="?", metavar="NAME", help="Message-ID of a series, or a rule, id or family")
    about.add_argument("--sent", action="store_true", help="the mails that went out, or may have")
    about.add_argument("--check", action="store_true", help="whether the file is sound")


def _index(index: _Parser) -> None:
    index.add_argument(
        "what", nargs="*", metavar="PATH or NAME", help="list who touches this file, function or definition"
    )
    index.add_argument(
        "-m",
        "--mbox",
        metavar="PATH",
        nargs="+",
        action="extend",
        help="take what is new in an mbox, maildir, mail or public-inbox directory",
    )
    index.add_argument("--since", metavar="WHEN", help="nothing from before: 2026-01-31 or 30d (to list: 90d)")
    index.add_argument("--prune", action="store_true", help="forget what is older than that, or than 200 days")


def _config(settings: _Parser) -> None:
    settings.add_argument("action", nargs="?", choices=("show",), default="show", help="every value, and who set it")


def _b4_check(b4_check: _Parser) -> None:
    b4_check.add_argument("--series", action="store_true", help="the whole series that the mail is of")


def _b4_prep(b4_prep: _Parser) -> None:
    b4_prep.add_argument("file", nargs="?", choices=("-",), default="-", help="standard input")
    b4_prep.add_argument(
        "--ruleset-version", metavar="V", help="not read; b4 keeps results while the command is the same"
    )


def _hook(hook: _Parser) -> None:
    hook.add_argument("name", choices=HOOKS, help="the hook's name")
    hook.add_argument("args", nargs="*", metavar="ARG", help="as git gives them to the hook")


def _rules(rules: _Parser) -> None:
    rules.add_argument("name", nargs="?", metavar="NAME", help="a rule, its id, or a family")


# Of each command what it does, and what its options are, in the order of the help.
_OPTIONS: dict[str, tuple[str, tuple[Callable[[_Parser], None], ...]]] = {
    "lore": ("review a posting from an archive", (_posting, _choice, _branches, _strict, _result, _common)),
    "check": (
        "review commits or patches before they are sent",
        (_check, _choice, _branches, _strict, _result, _common),
    ),
    "reply": ("the mails that would answer a posting", (_posting, _reply, _choice, _strict, _common)),
    "watch": ("one pass over the configured archives: review, answer, end", (_watch, _choice, _common)),
    "queue": ("the mails that wait for a person", (_queue, _document, _choice, _common)),
    "ledger": ("what was seen and sent, and why not", (_ledger, _document, _common)),
    "diff": (
        "two revisions of a series side by side, with findings fixed, new and still there",
        (_diff, _choice, _strict, _compared, _common),
    ),
    "index": ("which series in flight touch what: make the index, or look in it", (_index, _document, _common)),
    "config": ("the settings, and where each came from", (_config, _document, _common)),
    "b4-check": ("for b4 review: a mail on standard input, JSON on output", (_b4_check, _choice, _strict, _common)),
    "b4-prep": (
        "for b4 prep --check: a patch on standard input, a line a finding",
        (_b4_prep, _choice, _strict, _common),
    ),
    "hook": ("for git's hooks", (_hook, _choice, _strict, _common)),
    "rules": ("the rules, or one rule's page", (_rules, _document, _screen, _common)),
}


class _Print(argparse.Action):
    """Print what is made from the parser itself, and end."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, values: Any, option: str | None = None) -> None:
        from reviewbot.commands.generated import generate

        sys.stdout.write(generate(parser, option or "", values or None))
        sys.stdout.flush()
        parser.exit()


def _revision(text: str) -> int:
    if not text.lstrip("v").isdecimal() or not 1 <= int(text.lstrip("v")) <= 999:
        raise argparse.ArgumentTypeError(f"not a revision: '{text}'")
    return int(text.lstrip("v"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the process's exit status."""
    # a file of 7,000 lines is 30,000 tokens: with Python's 700 a tenth of the time goes into looking for garbage
    gc.set_threshold(_GARBAGE)
    if sys.stderr is None:  # 2>&-
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    if sys.stdout is None:
        print("reviewbot: cannot write: standard output is closed", file=sys.stderr)
        return 2
    # the terminal's encoding must not be what ends a run: mail is written by strangers
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else argv
    args = make_parser(words[0] if words and words[0] in COMMANDS else None).parse_args(words)
    try:
        code = int(import_module(COMMANDS[args.command]).run(args, load_config(args.config, args.settings or ())))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # whoever read has seen enough; Python would complain once more when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141  # as a process that SIGPIPE ended
    except KeyboardInterrupt:
        return 130
    except ReviewbotError as error:
        return _fail(args, str(error), error.exit_code)
    except OSError as error:
        return _fail(args, f"cannot write: {error.strerror}" if error.strerror else str(error), 2)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug is told in one line, too
        return _fail(args, f"internal error: {type(error).__name__}: {error} (--debug shows where)", 2)


def _fail(args: argparse.Namespace, text: str, code: int) -> int:
    """Say in one line what went wrong; under --debug show the traceback before, which may quote a mail, too."""
    from reviewbot.output.text import clean

    if args.debug:
        import traceback

        for line in traceback.format_exc().splitlines():
            print(clean(line), file=sys.stderr)
    if args.command in CALLED:
        return int(import_module(COMMANDS[args.command]).tell(args, text))
    print(f"reviewbot: {clean(' '.join(text.split(chr(10))))}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
