# SPDX-License-Identifier: GPL-2.0-or-later
"""(Series, rules) -> Review: runs the rules and holds what all of them share.

Belongs here: word pre-filter, scope, base gate, moved lines, causation, replies, fingerprints, and
that a rule which raises costs only itself. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from reviewbot.c.code import MOST_TEXT, Code, images
from reviewbot.dossier import Claim, Dossier, Needs, cover_patch
from reviewbot.finding import TOO_LARGE, Fault, Finding, NotRun, Review, fingerprint, order
from reviewbot.model import Applied, LineKind, Patch, Series, SpanKind
from reviewbot.reports import LONGEST, MOST, Key, finding_of, key_of, run_rule, touched
from reviewbot.rule import Over, Report, Rule, SeriesReport
from reviewbot.verdict import Asked, Definitions, Gone, Made, Names, Removed, Verdict, defined_later

# What is read of one patch besides MOST_TEXT: tokens of functions times rules. The largest file of 6.12's mm/ has 0.07
# million tokens; at these limits a patch takes seconds (tests/bench/limits.py).
MOST_WORK = 3_000_000


class Files(Protocol):
    """What a series applies to: `reviewbot.tree` has git's."""

    def apply(self, patch: Patch) -> Applied:
        """The files of a patch, on top of those before it: to be called for each patch of a series, in order."""


def review(
    series: Series,
    rules: Sequence[Rule],
    only: Collection[int] | None = None,
    files: Files | None = None,
    progress: Callable[[int], None] | None = None,
    dossier: Dossier | None = None,
) -> Review:
    """Run the rules over the patches of a series. Every finding is in the result, `selection` says which are shown.

    `only` restricts it to the patches of these numbers; the others still tell which lines were moved. With `files` the
    rules see whole files. `progress` is told how many patches are done. `dossier` is what is known beyond the posting
    itself; its tree must be one that `files` was applied to, so that it knows what the patches have made of it.

    What a later patch of the series resolves is a note, and says by which; what a later patch makes wrong is that
    patch's finding.
    """
    dossier = dossier or Dossier(series)
    claims = _claims(dossier)
    definitions = Definitions(series.patches)
    verdict = Verdict(series, definitions, claims, only)
    run = _Run(Removed(series.patches), [], [])
    findings: list[Finding] = []
    holding = [rule for rule in rules if rule.holds_for(series.base.version)]
    live = [rule for rule in holding if rule.over is Over.CODE]
    for done, patch in enumerate(series.patches):
        if progress:
            progress(done)
        applied = files.apply(patch) if files else None
        verdict.step(patch, applied)
        if only is not None and patch.index not in only:
            if applied and verdict.awaits(patch):
                # only what rules see in its files counts: a patch behind it may make that wrong
                quiet = run._replace(errors=[], not_run=[])
                for _ in _review_patch(quiet, patch, applied, series, live, definitions, claims, verdict):
                    pass
            continue
        if patch.reply and patch.unreadable:
            # a draft in a discussion is not held to be a patch
            line = patch.unreadable[0].message_line
            run.not_run.append(
                NotRun("reviewbot/unreadable-diff", f"a draft in a reply cannot be read from line {line} on")
            )
        else:
            run.errors.extend(
                Fault(patch.mail, patch.index, b.message_line, b.reason, b.text) for b in patch.unreadable
            )
        findings.extend(_review_patch(run, patch, applied, series, live, definitions, claims, verdict))
    findings = list(verdict.findings(findings))
    over_series = [rule for rule in holding if rule.over is Over.SERIES]
    findings.extend(_review_series(run, dossier, over_series, only))
    not_run = tuple(dict.fromkeys(run.not_run))
    return Review(series, tuple(sorted(findings, key=order)), not_run, tuple(run.errors), len(rules), tuple(only or ()))


class _Run(NamedTuple):
    """What one review of a series collects."""

    removed: Removed  # the lines that the series removes: one that comes back was moved
    errors: list[Fault]
    not_run: list[NotRun]


class _Budget:
    """What may still be read of a patch."""

    __slots__ = ("text", "work")

    def __init__(self, text: int, work: int) -> None:
        self.text = text
        self.work = work


def _claims(dossier: Dossier) -> Callable[[str, int], Sequence[Claim]]:
    """What other series claim; the index is opened where a rule asks."""

    def ask(prefix: str, bit: int) -> Sequence[Claim]:
        flight = dossier.flight
        return flight.claims(prefix, bit) if flight else ()

    return ask


def _review_patch(
    run: _Run,
    patch: Patch,
    applied: Applied | None,
    series: Series,
    rules: Sequence[Rule],
    definitions: Definitions,
    claims: Callable[[str, int], Sequence[Claim]],
    verdict: Verdict,
) -> Iterator[Finding]:
    version, names = series.base.version, Names(definitions, patch.index)
    after = images(patch.files, LineKind.ADDED, version, applied, lambda: names, claims)
    before = images(patch.files, LineKind.REMOVED, version, applied, lambda: names, claims)
    # what whole files take is not taken from what the diff itself may
    budgets = _Budget(MOST_TEXT, MOST_WORK), _Budget(MOST_TEXT, MOST_WORK)
    for number, sides in enumerate(zip(after, before, strict=True)):
        looked: list[Asked] = []
        made = list(_review_file(run, patch, *sides, rules, names, verdict, looked, *budgets))
        if made or looked:
            verdict.keep(patch, number, applied, made, looked)
            yield from (one.finding for one in made)


def _review_file(
    run: _Run,
    patch: Patch,
    after: Code,
    before: Code,
    rules: Sequence[Rule],
    names: Names,
    verdict: Verdict,
    looked: list[Asked],
    wholes: _Budget,
    hunks: _Budget,
) -> Iterator[Made]:
    diff = after.diff
    if diff is None or diff.new_path is None or diff.binary or not diff.hunks:
        return
    candidates = [rule for rule in rules if rule.scope.covers(diff.path)]
    if not candidates:
        return
    text = "\n".join(line.text for hunk in diff.hunks for line in hunk.lines)
    near, whole = f"{text}\n{after.near}", f"{text}\n{after.text}"
    candidates = [
        rule for rule in candidates if any(word in (near if rule.needs == "diff" else whole) for word in rule.words)
    ]
    if not candidates:
        return
    budget = wholes if after.file is not None else hunks
    if budget is wholes and (len(whole) > budget.text or budget.work < len(candidates)):
        # a patch to hundreds of files: what it changes is read all the same
        run.not_run.append(NotRun(TOO_LARGE, f"more than is read of one patch, only its diff is: {diff.path}"))
        after, before, whole, budget = after.hunks_alone(), before.hunks_alone(), text, hunks
        candidates = [rule for rule in candidates if any(word in text for word in rule.words)]
        if not candidates:
            return
    if len(whole) > budget.text:
        run.not_run.append(NotRun(TOO_LARGE, f"more than is read of one patch: {diff.path}"))
        return
    budget.text -= len(whole)
    after.effort.tokens = before.effort.tokens = most = budget.work // len(candidates)
    for rule in candidates:
        if rule.needs == "tree" and after.facts is None:
            run.not_run.append(NotRun(rule.name, _lacking("needs --tree", after)))
            continue
        names.late.clear()
        try:
            reports, cut = run_rule(rule, after)
            if one := verdict.asked(rule, after, patch):
                looked.append(one)
            if why := after.abstained or (f"{cut} in {diff.path}" if cut else None):
                run.not_run.append(NotRun(rule.name, _lacking(why, after)))
            if not reports:
                continue
            later = defined_later(rule, after, names, reports) if names.late else {}
            said_before, cut = run_rule(rule, before)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a rule is a plug-in: its bug costs only its findings
            line = diff.message_line
            message = f"rule {rule.name} failed on {diff.path}: {type(error).__name__}: {error}"
            run.errors.append(Fault(patch.mail, patch.index, line, message, "", rule.name))
            continue
        if cut:
            # what it had not reached of the old file must not count as brought about by the patch
            run.not_run.append(NotRun(rule.name, f"{cut} in {diff.path} before the patch"))
            continue
        old = _before(said_before, after, before)
        yield from _findings(rule, patch, (after, before), reports, old, run.removed.before(patch.index), later)
    budget.work -= (most - after.effort.tokens) * len(candidates)
    if after.effort.skipped or before.effort.skipped:
        why = f"functions larger than is read of one patch: {diff.path}"
        run.not_run.append(NotRun(TOO_LARGE, why))


def _review_series(
    run: _Run, dossier: Dossier, rules: Sequence[Rule], only: Collection[int] | None
) -> Iterator[Finding]:
    series = dossier.series
    if not series.patches or any(patch.reply for patch in series.patches):
        return  # a draft in a discussion is no posting
    texts: list[str] | None = None
    for rule in rules:
        # behind an RFC or a resend the first revision has a past, too
        if rule.rerolls and series.revision < 2 and not (rule.needs == Needs.HISTORY and dossier.has(Needs.HISTORY)):
            continue
        if rule.words:
            texts = texts if texts is not None else list(_texts(series))
            if not any(word in text for text in texts for word in rule.words):
                continue
        if not dossier.has(rule.needs) and rule.needs != Needs.TREE:
            if rule.needs == Needs.HISTORY:
                run.not_run.append(NotRun(rule.name, "needs an archive"))
            continue  # what is merely not configured is not missed
        occurrences: Counter[tuple[str, ...]] = Counter()
        dossier.abstained = None
        try:
            for number, report in enumerate(rule.check(dossier)):
                if number == MOST:
                    run.not_run.append(NotRun(rule.name, f"stopped after {MOST} findings"))
                    break
                if only is None or not report.patch.index or report.patch.index in only:
                    yield _series_finding(rule, report, occurrences)
            if why := dossier.abstained:
                run.not_run.append(NotRun(rule.name, why))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            first = series.patches[0]
            message = f"rule {rule.name} failed: {type(error).__name__}: {error}"
            run.errors.append(Fault(first.mail, first.index, 0, message, "", rule.name))


def _texts(series: Series) -> Iterator[str]:
    """What the words of rules over a series are looked for in."""
    if series.cover:
        cover = cover_patch(series.cover)
        yield f"{cover.subject.full}\n{cover.message}"
    for patch in series.patches:
        yield f"{patch.subject.full}\n{patch.message}\n{patch.notes}"
        for diff in patch.files:
            for hunk in diff.hunks:
                yield "\n".join(line.text for line in hunk.lines)


def _series_finding(rule: Rule, report: SeriesReport, occurrences: Counter[tuple[str, ...]]) -> Finding:
    path = report.span.path if report.span.kind in (SpanKind.SOURCE, SpanKind.REMOVED) else report.span.kind
    key = (path, *(report.identity or report.span.text.split()))
    occurrence = occurrences[key]
    occurrences[key] += 1
    return Finding(
        rule=rule.name,
        severity=report.severity or rule.severity,
        confidence=rule.confidence,
        message=report.message[:LONGEST],
        span=report.span,
        related=report.related,
        places=(),
        suggestion=report.suggestion,
        patch=report.patch,
        function=None,
        fingerprint=fingerprint(rule.name, path, None, key[1:], occurrence),
        rule_id=rule.id,
        yields_to=rule.yields_to,
        notes=report.notes,
    )


def _lacking(why: str, code: Code) -> str:
    """ "needs --tree" is no advice where a tree is given."""
    if not code.applied:
        return why
    instead = "cannot be decided of" if code.file is not None else "the tree does not have"
    return why.replace("needs --tree", f"{instead} {code.path}")


def _before(reports: Sequence[Report], after: Code, before: Code) -> Counter[Key]:
    """How often each report was made before the patch; of a function that it renames, under every new name."""
    old = Counter(key_of(report, before) for report in reports)
    names = {function.name or "" for function in before.functions} if reports else set[str]()
    new = {function.name or "" for function in after.functions} if reports else set[str]()
    for (name, *texts), times in list(old.items()):
        if name not in new:
            for other in new - names:
                old[other, *texts] += times
    return old


def _moved_here(rule: Rule, reports: Sequence[Report], after: Code, before: Code, removed: Gone) -> Counter[Key]:
    """What the rule said, before the patch, of code that the patch has moved here from its other files."""
    found: Counter[Key] = Counter()
    if not any(_all_moved(report, after, removed) for report in reports):
        return found
    for other in before.patch:
        if (
            other is not before
            and other.diff
            and any(word in text for text in other.diff.removed() for word in rule.words)
        ):
            found.update(key_of(report, other) for report in run_rule(rule, other)[0] if touched(report, other))
    return found


def _all_moved(report: Report, code: Code, removed: Gone) -> bool:
    """Every line of a report was added here and is removed elsewhere."""
    return code.changed(report.at[0]) and all(
        code.lines[place.line].text.strip() in removed for place in report.at if place.line >= 0
    )


def _function_moved(report: Report, code: Code, removed: Gone) -> bool:
    """So is all that is seen of its function: what was changed on the way, were it its type, is the patch's own."""
    function = code.function_of(report.at[0])
    if function is None or not function.statements:
        return True
    first, last = function.statements[0].span[0], function.statements[-1].span[1]
    first = min([first, *(token.line for token in function.header if token.line >= 0)])
    return all(
        not text or text in removed
        for line in code.lines[first : last + 1]
        if line.kind is LineKind.ADDED and (text := line.text.strip()) is not None
    )


def _findings(
    rule: Rule,
    patch: Patch,
    sides: tuple[Code, Code],
    reports: list[Report],
    old: Counter[Key],
    removed: Gone,
    later: Mapping[int, int],
) -> Iterator[Made]:
    code, before = sides
    seen: Counter[Key] = Counter()
    moved = _moved_here(rule, reports, code, before, removed)
    # what was there before keeps its place among equals only as long as the patch has not touched it
    reports.sort(key=lambda report: (touched(report, code), report.at[0].line))
    for report in reports:
        key = key_of(report, code)
        occurrence = seen[key]
        seen[key] += 1
        preexisting = occurrence < old[key] or not _caused(report, code, before)
        if not preexisting and _all_moved(report, code, removed):
            preexisting = rule.style or (moved[key] > 0 and _function_moved(report, code, removed))
            moved[key] -= 1
        finding = finding_of(rule, patch, code, report, key, occurrence, preexisting=preexisting)
        yield Made(finding._replace(resolved_by=later.get(id(report))), rule, key)


def _caused(report: Report, code: Code, before: Code) -> bool:
    """The patch has a part in a report that was not made before it.

    Where both sides are whole, to have touched the function is enough: what was removed may lie elsewhere in it.
    """
    if touched(report, code):
        return True
    function = code.function_of(report.at[0])
    if code.file is None or before.file is None or function is None or not function.statements:
        return False
    return code.touches(function.statements[0].span[0], function.statements[-1].span[1])
