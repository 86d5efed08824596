# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts test cases over meson's test logs and prints `N passed, N failed, N skipped`.

usage: count_tests.py TESTLOG.json...

A program of many cases counts as many: by the lines of its TAP report, or by the summary that Check
prints ("100%: Checks: 12, Failures: 0, Errors: 0"); any other program is one case. A program that
failed without any of its cases having failed (it crashed, or ran out of time) adds one failure.

Exit status: 1 when a case failed or none ran; with BPCOND_MUST_WORK=1 also when one was skipped.
"""

import json
import os
import re
import sys
from collections import Counter

CHECK_SUMMARY = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.M)
TAP_LINE = re.compile(r"^(ok|not ok) \d+(.*)$", re.M)
TAP_SKIPPED_PLAN = re.compile(r"^1\.\.0 # SKIP", re.M | re.I)

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
BY_RESULT = {"OK": PASSED, "EXPECTEDFAIL": PASSED, "SKIP": SKIPPED}


def count_output(output):
    """The cases that a program's output tells of; empty when it tells of none."""
    counts = Counter()
    for checks, failures, errors in CHECK_SUMMARY.findall(output):
        failed = int(failures) + int(errors)
        counts[FAILED] += failed
        counts[PASSED] += int(checks) - failed
    if counts:
        return counts
    for verdict, rest in TAP_LINE.findall(output):
        if re.search(r"# SKIP", rest, re.I):
            counts[SKIPPED] += 1
        else:
            counts[PASSED if verdict == "ok" else FAILED] += 1
    if not counts and TAP_SKIPPED_PLAN.search(output):
        counts[SKIPPED] += 1
    return counts


def count_program(entry):
    """The cases of one program, as meson logged it."""
    verdict = BY_RESULT.get(entry["result"], FAILED)
    counts = count_output(entry.get("stdout") or "")
    if not counts:
        counts[verdict] += 1
    elif verdict == FAILED and not counts[FAILED]:
        counts[FAILED] += 1
    return counts


def main(paths):
    total = Counter()
    for path in paths:
        if not path.endswith(".json"):
            continue
        with open(path, encoding="utf-8") as log:
            for line in log:
                total += count_program(json.loads(line))

    must_work = os.environ.get("BPCOND_MUST_WORK") == "1"
    print(f"{total[PASSED]} passed, {total[FAILED]} failed, {total[SKIPPED]} skipped")
    if total[FAILED] or not total[PASSED]:
        return 1
    return 1 if must_work and total[SKIPPED] else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as error:
        print(f"no test log: {error}", file=sys.stderr)
        print("0 passed, 1 failed, 0 skipped")
        sys.exit(1)
