# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of the command line's own parser: completion scripts (by shtab), the manual page.

Belongs here: which words a shell may offer for a value, and what a manual page says besides the options. Does not
belong here: which options there are (`cli`). Imported only where one of the two is asked for.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast

from reviewbot import __version__

# What a value is, by the name that argparse knows its argument by.
_FILES = ("config", "mbox", "baseline", "write_baseline")
_DIRECTORIES = ("tree", "output")
_RULES = ("select", "ignore")  # several, with commas between

# A line a rule, `id name severity ...`, of which families and names are taken: with those of plug-ins, and as they are
# at the time. A rule of `rules NAME` is one; of --select and --ignore the last behind a comma.
_WORDS = "reviewbot rules 2>/dev/null | sed -n 's|^[^ ]* *\\(\\([^/ ]*\\)/[^ ]*\\).*|\\2\\n\\1|p' | sort -u"
_REFS = (
    "git for-each-ref --format='%(refname:short)' refs/heads refs/remotes refs/tags 2>/dev/null; "
    "git rev-parse -q --verify HEAD >/dev/null 2>&1 && echo HEAD"
)

_BASH = """
_reviewbot_words() { __WORDS__; }
_reviewbot_refs() { __REFS__; }
_reviewbot_rule() { compgen -W "$(_reviewbot_words)" -- "$1"; }
_reviewbot_rules_list() {
  local before=
  [[ $1 == *,* ]] && before="${1%,*},"
  compgen -P "$before" -W "$(_reviewbot_words)" -- "${1##*,}"
}
# FILE in its name has bash treat the words as file names: a slash behind a directory
_reviewbot_commits_or_FILE() {
  if [[ $1 == *..* ]]; then
    compgen -P "${1%..*}.." -W "$(_reviewbot_refs)" -- "${1##*..}"
  else
    compgen -W "$(_reviewbot_refs)" -- "$1"
    compgen -f -- "$1"
  fi
}
"""

_ZSH = """
_reviewbot_words() { __WORDS__ }
_reviewbot_refs() { __REFS__ }
_reviewbot_rule() {
  local -a found=(${(f)"$(_reviewbot_words)"})
  compadd -a found
}
_reviewbot_rules_list() {
  local -a found=(${(f)"$(_reviewbot_words)"})
  compset -P '*,'
  compadd -S '' -a found
}
_reviewbot_commits_or_files() {
  local -a found=(${(f)"$(_reviewbot_refs)"})
  if compset -P '*..'; then
    compadd -a found
  else
    _alternative 'commits:commit:compadd -a found' 'files:file:_files'
  fi
}
"""

_FISH = """
function _reviewbot_words
  __WORDS__
end
function _reviewbot_refs
  sh -c "__REFS__"
end
function _reviewbot_rules_list
  set -l before (string match -r '^.*,' -- (commandline -ct))
  for word in (_reviewbot_words)
    echo "$before$word"
  end
end
function _reviewbot_commits_or_files
  set -l before (string match -r '^.*\\\\.\\\\.' -- (commandline -ct))
  for word in (_reviewbot_refs)
    echo "$before$word"
  end
  __fish_complete_path (commandline -ct)
end
"""

_RULE = {"bash": "_reviewbot_rule", "zsh": "_reviewbot_rule", "fish": "(_reviewbot_words)"}
_RULES_LIST = {"bash": "_reviewbot_rules_list", "zsh": "_reviewbot_rules_list", "fish": "(_reviewbot_rules_list)"}
_COMMITS = {
    "bash": "_reviewbot_commits_or_FILE",
    "zsh": "_reviewbot_commits_or_files",
    "fish": "(_reviewbot_commits_or_files)",
}


def generate(parser: argparse.ArgumentParser, option: str, value: object) -> str:
    """What --print-man, or --print-completion with the name of a shell in `value`, prints."""
    return completion(parser, str(value)) if option == "--print-completion" else man(parser)


# -- completion ---------------------------------------------------------------------------------------------------


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script that has `shell` (bash, zsh or fish) complete commands, options and their values."""
    import shtab

    for name, command in {"": parser, **_commands(parser)}.items():
        for action in command._actions:
            if words := _offered(name, action, shtab):
                action.complete = words  # type: ignore[attr-defined]  # where shtab looks for it
    preamble = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}[shell]
    preamble = preamble.replace("__WORDS__", _WORDS).replace("__REFS__", _REFS)
    script: str = shtab.complete(parser, shell, preamble=preamble)
    return script.rstrip("\n") + "\n"


def _offered(command: str, action: argparse.Action, shtab: Any) -> dict[str, str] | None:
    """What shtab is to offer for an argument; None where it knows by itself, or there is nothing to know."""
    if action.choices or action.nargs == 0:
        return None
    if action.dest in _RULES:
        return _RULES_LIST
    if command == "rules" and action.dest == "name":
        return _RULE
    if command == "check" and action.dest == "what":
        return _COMMITS
    if action.dest in _FILES:
        return cast("dict[str, str]", shtab.FILE)
    return cast("dict[str, str]", shtab.DIRECTORY) if action.dest in _DIRECTORIES else None


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands, by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


# -- the manual page ----------------------------------------------------------------------------------------------

_STATUS = (
    ("0", "Nothing is found that is as severe as --fail-on (default: warning)."),
    ("1", "Something is."),
    ("2", "The arguments, the configuration or the input are wrong, or there is an internal error."),
    ("75", "The network or a server: try again later."),
    ("130", "Interrupted."),
)
_ENVIRONMENT = (
    ("NO_COLOR", "No colour, where it is not empty."),
    ("FORCE_COLOR, CLICOLOR_FORCE", "Colour where output is no terminal, too."),
    ("GIT_PAGER, PAGER", "The pager, as for git(1); git's core.pager and pager.reviewbot count, too."),
    ("COLUMNS", "The width of the terminal."),
    ("FORCE_HYPERLINK", "1: the terminal has hyperlinks; 0: it has none."),
    ("XDG_CONFIG_HOME, XDG_STATE_HOME", "Where the configuration and the ledger are."),
)
_FILES_READ = (
    ("~/.config/reviewbot/config.toml", "The user's configuration, in TOML. `reviewbot config show` lists all of it."),
    (".reviewbot.toml", "A tree's own, at its top: it may only select and ignore rules."),
    ("~/.local/state/reviewbot/ledger.sqlite", "What was seen and sent."),
    ("~/.local/state/reviewbot/index.sqlite", "What series in flight touch."),
)
_EXAMPLES = (
    ("reviewbot check", "Review the commits that upstream does not have."),
    ("reviewbot check --staged", "Review what is about to be committed."),
    ("reviewbot check *.patch", "Review what git format-patch wrote."),
    ("reviewbot check --format diff | git apply", "Take what it suggests."),
    ("reviewbot lore MESSAGE-ID", "Review a posting from lore.kernel.org."),
    ("reviewbot rules lock-drop/stale-vma", "Read what a rule is about."),
)


def man(parser: argparse.ArgumentParser) -> str:
    """The manual page, in man(7)'s macros."""
    return "\n".join(_man(parser)) + "\n"


def _man(parser: argparse.ArgumentParser) -> Iterator[str]:
    commands = _commands(parser)
    # an option that several commands have alike is explained once
    many = Counter(_key(action) for command in commands.values() for action in _options(command))
    common = {key for key, number in many.items() if number > 1}
    yield f'.TH REVIEWBOT 1 "" "reviewbot {_roff(__version__)}" "User Commands"'
    yield from (".SH NAME", f"{parser.prog} \\- {_roff(parser.description or '')}", ".SH SYNOPSIS")
    yield from ("\\fBreviewbot\\fR [\\fIoption\\fR ...]", ".br")
    yield "\\fBreviewbot\\fR \\fIcommand\\fR [\\fIoption\\fR ...] [\\fIargument\\fR ...]"
    yield from (
        ".SH DESCRIPTION",
        _roff("reviewbot reads patch series for the Linux kernel and reports what they bring"),
    )
    yield _roff("about that a reviewer would object to. It reads commits, files, standard input or a posting in an")
    yield _roff("archive. On a terminal it shows findings with their code; piped, a line a finding.")
    yield ".SH COMMANDS"
    for name, command in commands.items():
        yield from (f".SS {_roff(name)}", f"\\fBreviewbot {_roff(name)}\\fR {_synopsis(command)}".rstrip(), ".PP")
        yield _sentence(command.description or "")
        for action in command._get_positional_actions():
            yield from _entry(f"\\fI{_roff(_metavar(action))}\\fR", _help(command, action))
        options = _options(command)
        for action in options:
            if _key(action) not in common:
                yield from _entry(_names(action), _help(command, action))
        if shared := [action for action in options if _key(action) in common]:
            named = ", ".join(f"\\fB{_roff(action.option_strings[-1])}\\fR" for action in shared)
            yield from (".PP", f"Also, as below: {named}.")
    yield ".SH OPTIONS"
    for action in _options(parser):
        yield from _entry(_names(action), _help(parser, action))
    yield from (".PP", "Of several commands:")
    seen = set()
    for command in commands.values():
        for action in _options(command):
            if (key := _key(action)) in common and key not in seen:
                seen.add(key)
                yield from _entry(_names(action), _help(command, action))
    for title, entries in (("EXIT STATUS", _STATUS), ("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES_READ)):
        yield f".SH {title}"
        for term, text in entries:
            yield from _entry(f"\\fB{_roff(term)}\\fR", text)
    yield ".SH EXAMPLES"
    for line, text in _EXAMPLES:
        yield from _entry(f"\\fB{_roff(line)}\\fR", text)
    yield from (".SH SEE ALSO", "\\fBgit\\fR(1), \\fBb4\\fR(5), \\fBless\\fR(1)")


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """All but --help, which every command has."""
    return [action for action in parser._get_optional_actions() if not isinstance(action, argparse._HelpAction)]


def _key(action: argparse.Action) -> tuple[object, ...]:
    return (*action.option_strings, action.help, action.metavar, *(action.choices or ()))


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def _names(action: argparse.Action) -> str:
    value = f" \\fI{_roff(_metavar(action))}\\fR" if action.nargs != 0 else ""
    return ", ".join(f"\\fB{_roff(name)}\\fR" for name in action.option_strings) + value


def _synopsis(command: argparse.ArgumentParser) -> str:
    words = ["[\\fIoption\\fR ...]"] if _options(command) else []
    for action in command._get_positional_actions():
        word = f"\\fI{_roff(_metavar(action))}\\fR"
        words.append({"?": f"[{word}]", "*": f"[{word} ...]"}.get(str(action.nargs), word))
    return " ".join(words)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """The help as --help prints it; where an option has none, it is its choices that tell."""
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _entry(term: str, text: str) -> Iterable[str]:
    return (".TP", term, _sentence(text)) if text else (".TP", term, "\\&")


def _sentence(text: str) -> str:
    """A help text, which begins small and has no full stop."""
    text = text.strip()
    if re.match(r"[a-z]+\b(?![@/-])", text):
        text = text[0].upper() + text[1:]
    return _roff(text if text.endswith((".", ":")) or not text else f"{text}.")


def _roff(text: str) -> str:
    r"""The text as roff's input: a hyphen is one that can be copied, nothing begins a request or an escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{text}" if text.startswith(".") else text
