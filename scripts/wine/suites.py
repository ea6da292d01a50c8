#!/usr/bin/env python3
"""Runs test programs built for Windows, and compares them with the list of known failures.

    suites.py BUILT [PACKAGE …]     called by `scripts/windows all`

BUILT is what `cargo test --no-run --message-format json` printed. A test that is on the list
runs in a process of its own, so that it can neither end nor hold up the others; so does,
once more, one that failed among others, and that counts. Fails if a test fails that is not
on the list, if one passes that is, and if there is nothing to run.
"""

import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from known import Known

WINE = "/usr/lib/wine/wine64"
# A program that prints nothing for so many seconds hangs; a test waits 60 at most.
SILENCE = 150
# The same for a test on the list, which is alone in its program: that some hang is known.
ALONE = 30
# A program that prints again and again may hang too: it ends after so many seconds.
TOTAL = 1_800
# Tests at once: most of them wait.
THREADS = 4
# Finding the names of functions takes a program minutes there.
ENVIRONMENT = os.environ | {"RUST_BACKTRACE": "0"}
# On some lines an error of Wine's own stands before it.
RESULT = re.compile(r"\btest (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)")


def programs(built):
    """Label, path and folder of each test program."""
    for line in open(built, encoding="utf-8"):
        message = json.loads(line)
        if not message.get("executable") or not message["profile"]["test"]:
            continue
        folder = os.path.dirname(message["manifest_path"])
        package = re.search(r"#(?:([^@]+)@)?", message["package_id"])[1] or os.path.basename(folder)
        suite = f"/{message['target']['name']}" if message["target"]["kind"] == ["test"] else ""
        yield package, package + suite, message["executable"], folder


def run(program, folder, arguments, silence):
    """The outcomes of the tests that ended, and all that the program printed."""
    command = [WINE, program, f"--test-threads={THREADS}", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
    lines, text = queue.Queue(), []

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + TOTAL
    try:
        while (line := lines.get(timeout=silence)) is not None:
            text.append(line)
            if time.monotonic() >= deadline:
                text.insert(0, f"not over after {TOTAL} s\n")
                break
    except queue.Empty:
        text.insert(0, f"nothing printed for {silence} s\n")
    process.kill()
    process.wait()
    outcomes = dict(found.groups() for line in text if (found := RESULT.search(line)))
    return outcomes, "".join(text)


def names(program, folder):
    listed = subprocess.run([WINE, program, "--list"], cwd=folder, stdout=subprocess.PIPE, text=True, timeout=SILENCE,
                            check=True)
    return re.findall(r"^(\S+): test\r?$", listed.stdout, re.MULTILINE)


def alone(program, folder, name, limit):
    """None if it passed, else what it said."""
    outcomes, text = run(program, folder, ["--exact", name], limit)
    if outcomes.get(name) in ("ok", "ignored"):
        return None
    shown = re.search(r"^---- .* stdout ----\r?\n(.*?)(?=^failures:)", text, re.MULTILINE | re.DOTALL)
    return shown[1] if shown else text


def suite(label, program, folder, known):
    """Why each test failed, or None; and how many were ignored or skipped."""
    everything = names(program, folder)
    listed = [name for name in everything if known.entry(f"{label}::{name}")]
    skip = [word for name in listed for word in ("--skip", name)]
    outcomes, text = run(program, folder, ["--exact", *skip], SILENCE)
    failed = [name for name in everything if outcomes.get(name) not in ("ok", "ignored", None)]
    hung = [name for name in everything if name not in outcomes and name not in listed]
    failures = dict.fromkeys(everything)
    with ThreadPoolExecutor(THREADS) as pool:
        again = [(name, ALONE) for name in listed] + [(name, SILENCE) for name in failed + hung]
        for (name, _), said in zip(again, pool.map(lambda each: alone(program, folder, *each), again)):
            failures[name] = said
    ignored = sum(outcome == "ignored" for outcome in outcomes.values())
    return failures, ignored, text.count("SKIPPED ")


def main():
    built, wanted = sys.argv[1], sys.argv[2:]
    known, failures = Known("test"), {}
    chosen = [program for program in programs(built) if not wanted or program[0] in wanted]
    absent = sorted(set(wanted) - {package for package, *_ in chosen})
    if absent or not chosen:
        sys.exit(f"no test programs of: {', '.join(absent) or 'any package'}")
    for _, label, program, folder in chosen:
        found, ignored, skipped = suite(label, program, folder, known)
        failed = sum(failure is not None for failure in found.values())
        print(f"{label:22} {len(found) - failed - ignored - skipped:5} passed {failed:4} failed "
              f"{ignored:4} ignored {skipped:4} skipped", flush=True)
        failures.update({f"{label}::{name}": failure for name, failure in found.items()})
    sys.exit(not known.judge(failures, whole=not wanted))


main()
