"""Our programs as processes: started, waited for, ended, whatever happens in between."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

START_LIMIT = 90
STOP_LIMIT = 60


class Mismatch(Exception):
    """What was seen is not what should have been."""


def until(what, look, limit):
    """The first true answer of `look`, which is asked four times a second."""
    deadline = time.monotonic() + limit
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Mismatch(f"{what}: not within {limit} s")
        time.sleep(0.25)


def free_port():
    """A port of loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listening(port):
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def rest(url):
    """The JSON that a GET answers; None when the server has no answer yet."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)
    except (urllib.error.HTTPError, urllib.error.URLError, ConnectionError):
        return None


class House:
    """Runs `kinitro` commands in a folder; leaving the `with` block ends every one that still runs."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.running = binary, folder, {}
        # Settings of the person who runs this must not reach the programs.
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("KINITRO_")}

    def __enter__(self):
        return self

    def __exit__(self, kind, problem, trace):
        stuck = []
        for name in reversed(list(self.running)):
            try:
                self.end(name)
            except Mismatch as late:
                stuck.append(str(late))
        if kind is None and stuck:
            raise Mismatch("; ".join(stuck))
        if kind is not None:
            for log in sorted(self.folder.glob("*.log")):
                lines = log.read_text(errors="replace").splitlines()[-15:]
                print(f"--- {log.name}\n" + "\n".join(line[:400] for line in lines))

    def start(self, name, *arguments, port, program=None):
        """Starts a command (of ours, unless a program is given) that serves a port, and waits until it does."""
        with (self.folder / f"{name}.log").open("w") as log:
            command = [*(program or [self.binary]), *map(str, arguments)]
            # In a session of its own: a Ctrl-C of the terminal must reach it once, from `end`; a second one forces the end.
            self.running[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                  env=self.environment, cwd=self.folder, start_new_session=True)
        def ready():
            if self.running[name].poll() is not None:
                raise Mismatch(f"{name} ended with status {self.running[name].returncode}")
            return listening(port)
        until(f"{name} listens", ready, START_LIMIT)

    def end(self, name):
        """Ends a command as Ctrl-C does; answers its exit status."""
        process = self.running.pop(name)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            return process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Mismatch(f"{name} did not stop within {STOP_LIMIT} s") from None

    def run(self, *arguments):
        """Runs a command to its end; answers the JSON on its stdout."""
        command = [self.binary, *map(str, arguments)]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                                env=self.environment, cwd=self.folder, timeout=120)
        if result.returncode != 0:
            raise Mismatch(f"kinitro {' '.join(map(str, arguments[:2]))} failed: {result.stderr.strip()[-800:]}")
        return json.loads(result.stdout)
