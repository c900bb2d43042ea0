"""Runs the Python SDK against the development chain and the backend: `make interop`.

Each SDK lives in a virtual environment under .vendor/interop, made once from pinned hashes. The older SDK speaks to the older
runtime: from spec 439 on, netuids are a type that it cannot encode. Exit status 0 when every step agreed.

    run.py BINARY [SDK ...]
"""

import hashlib
import os
import pathlib
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
VENVS = HERE.parent / ".vendor" / "interop"
SPEC_OF = {"10.5.0": 461, "10.1.0": 419}
PYTHON = "3.11"


def run(*command):
    """Runs a command; its output is shown only when it fails."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"interop: {' '.join(map(str, command))} failed:\n{result.stdout}{result.stderr}")


def interpreter(sdk):
    """The Python of an SDK's virtual environment, which is made anew when its requirements changed."""
    folder, requirements = VENVS / sdk, HERE / f"requirements-{sdk}.txt"
    stamp, wanted = folder / "requirements.sha256", hashlib.sha256(requirements.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    if f"{sys.version_info.major}.{sys.version_info.minor}" != PYTHON:
        sys.exit(f"interop: the pinned hashes are for Python {PYTHON}; this is {sys.version.split()[0]}")
    print(f"making a virtual environment of bittensor {sdk} in {folder} (once; some 200 MB)", flush=True)
    run(sys.executable, "-m", "venv", "--clear", folder)
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
        "--only-binary", ":all:", "-r", requirements)
    stamp.write_text(wanted)
    return python


def wait(process):
    """Waits for a run to end, also when we are to end: it has programs of its own to stop."""
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            print("interop: interrupted, stopping everything", flush=True)


def main():
    """Every SDK that was named, or all."""
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(SPEC_OF):
        sys.exit(__doc__)
    binary = pathlib.Path(sys.argv[1]).resolve()
    for sdk in sys.argv[2:] or SPEC_OF:
        python = interpreter(sdk)
        print(f"bittensor {sdk} on spec {SPEC_OF[sdk]}", flush=True)
        # The SDK would otherwise take our arguments for its own.
        environment = {**os.environ, "BT_NO_PARSE_CLI_ARGS": "true"}
        if wait(subprocess.Popen([python, HERE / "scenario.py", binary, str(SPEC_OF[sdk])], env=environment)) != 0:
            sys.exit(f"interop: bittensor {sdk} on spec {SPEC_OF[sdk]} failed")
    print("everything agrees")


if __name__ == "__main__":
    main()
