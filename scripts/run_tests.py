"""Runs `cargo test` to the end and closes with one line of totals: scripts/run_tests.py [arguments of cargo test].

Cargo prints a result for each test binary, so a failure in the middle scrolls away. This passes the output on as it comes, adds it up, and
ends with the names of the tests that failed and the totals over all binaries. The exit status is Cargo's: 0 only when all was built and all
passed. A binary that ends without a result (a crash) counts as a failure under its own name. Binaries without the standard harness print
`test NAME ... ok` for each test and no result; those lines are counted instead.
"""

import os
import re
import signal
import subprocess
import sys
import time

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
BINARY = re.compile(r"^ *Running (.+) \(\S+\)$")
DOC_TESTS = re.compile(r"^ *Doc-tests (\S+)$")
RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")
NAME = re.compile(r"^    (\S.*)$")
LONE_PASS = re.compile(r"^test \S+ \.\.\. ok$")
BROKEN = re.compile(r"^error: (?:test|doctest) failed, to rerun pass `(.+)`")


class Totals:
    """What the lines of `cargo test` add up to."""

    def __init__(self):
        self.passed = self.ignored = self.binaries = 0
        self.failed = []
        self.where = None
        self.begin(None)

    def begin(self, where):
        """Another binary runs, or none does any more."""
        if self.where and not self.has_result:
            self.passed += self.lone_passes
        self.where, self.has_result, self.lone_passes, self.named = where, False, 0, []
        self.names = None

    def line(self, text):
        """One line, without colours."""
        if match := BINARY.match(text):
            self.binaries += 1
            self.begin(match[1])
        elif match := DOC_TESTS.match(text):
            self.begin(f"documentation of {match[1]}")
        elif match := RESULT.match(text):
            self.has_result = True
            self.passed += int(match[1])
            self.ignored += int(match[3])
            count = int(match[2])
            names = (self.names or [])[-count:] if count else []
            # A test that prints can garble the list; the count is right.
            names += ["(name not readable)"] * (count - len(names))
            self.named += names
            self.names = None
        elif match := BROKEN.match(text):
            self.failed += [f"{match[1]}: {name}" for name in self.named or ["ended without a result"]]
            self.begin(None)
        elif text == "failures:":
            # The list of names is the last block of this title.
            self.names = []
        elif self.names is not None and (match := NAME.match(text)):
            self.names.append(match[1])
        elif LONE_PASS.match(text):
            self.lone_passes += 1

    def close(self, status, seconds):
        """The last lines, and the exit status."""
        if self.where and self.named:
            self.failed += [f"{self.where}: {name}" for name in self.named]
        self.begin(None)
        lines = [f"failed: {name}" for name in self.failed]
        end = "" if status == 0 or self.failed else f"; cargo ended with status {status}, see above"
        lines.append(f"tests: {self.passed} passed, {len(self.failed)} failed, {self.ignored} ignored in {self.binaries} binaries, "
                     f"{seconds // 60:.0f} min {seconds % 60:.0f} s{end}")
        return lines, status or (1 if self.failed else 0)


def main():
    """Runs Cargo with our arguments; the exit status is its."""
    command = [os.environ.get("CARGO", "cargo"), "test", "--locked", "--no-fail-fast", *sys.argv[1:]]
    if sys.stdout.isatty():
        command.insert(2, "--color=always")
    begun = time.monotonic()
    totals, rest = Totals(), ""
    # Cargo says on stderr which binary runs, and the binary on stdout what came of it: one pipe keeps the order.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        # An interrupt goes to Cargo too, which ends; then the totals so far are shown.
        signal.signal(signal.SIGINT, lambda *_: None)
        while chunk := os.read(child.stdout.fileno(), 65536):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            *lines, rest = (rest + chunk.decode("utf-8", "replace")).split("\n")
            for line in lines:
                totals.line(COLOUR.sub("", line).rstrip("\r"))
        totals.line(COLOUR.sub("", rest))
        status = child.wait()
    lines, status = totals.close(status if status >= 0 else 128 - status, time.monotonic() - begun)
    print("\n" + "\n".join(lines))
    sys.exit(status)


if __name__ == "__main__":
    main()
