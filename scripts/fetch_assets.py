"""Fetches MuJoCo, the Meta-World assets and the chain's metadata into the ignored folder .vendor, by pinned hashes; with `--tests` also FastAPI,
for the tests' policy server.

Every run checks what is there against the hashes again (the library against the one below, the assets and the Python packages against
their wheels' own RECORD, which the pinned hash of the wheel covers) and fetches anew what does not agree. Prints nothing when all agrees.
"""

import base64
import csv
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENDOR = ROOT / ".vendor"
LIBRARY = VENDOR / "mujoco" / "lib" / "libmujoco.so.3.17.0"
LIBRARY_SHA256 = "23496b023ee80fb61ab71167e94bc649f9941710fde96b18bb8204fb332523ad"
METAWORLD = VENDOR / "metaworld"
METAWORLD_PARTS = ("metaworld/assets/", "metaworld-3.1.1.dist-info/")
METAWORLD_RECORD = METAWORLD / "metaworld-3.1.1.dist-info" / "RECORD"
CHAIN = VENDOR / "chain"
# The packages of the Python that runs this, which runs the tests' policy server too.
POLICY_SERVER = VENDOR / f"fastapi-{sys.version_info.major}.{sys.version_info.minor}"
POLICY_SERVER_PINS = ROOT / "scripts" / "policy_server.txt"
POLICY_SERVER_PYTHONS = range(11, 15)
# The wheels' own platform, whatever Python runs this: only the files inside are used.
PLATFORM = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none",
            "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_27_x86_64", "--platform", "any"]


def pip_download(arguments, folder):
    """Runs `pip download` into a folder; its output is shown only when it fails."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--require-hashes", "--dest", str(folder), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"setup: {' '.join(command)} failed:\n{result.stderr.strip()}")


def sha256(path):
    """The hash of a file, hex; None when there is no such file."""
    if not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def agrees(folder, record, beginning=""):
    """Whether every file of a RECORD whose name begins so is there with its hash."""
    if not record.is_file():
        return False
    with record.open(newline="") as lines:
        for name, digest, _size in csv.reader(lines):
            if not digest or not name.startswith(beginning):
                continue
            path = folder / name
            if not path.is_file():
                return False
            actual = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
            if digest != f"sha256={actual}":
                return False
    return True


def assets_agree():
    """Whether every Meta-World file that we use is there with the hash of the wheel's RECORD."""
    return agrees(METAWORLD, METAWORLD_RECORD, "metaworld/assets/")


def policy_server_agrees():
    """Whether the packages of the tests' policy server are there: those that are pinned, whole."""
    pins = [pin.split()[0] for pin in POLICY_SERVER_PINS.read_text().splitlines() if not pin.startswith("#")]
    names = (pin.replace("-", "_").replace("==", "-") for pin in pins)
    return all(agrees(POLICY_SERVER, POLICY_SERVER / f"{name}.dist-info" / "RECORD") for name in names)


def unpack(wheel, folder, parts):
    """Unpacks the members of a wheel that begin with one of `parts`, replacing what stood there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(parts):
                archive.extract(name, folder)


def fetch_simulation():
    """MuJoCo's library, with the unversioned link that the linker asks for, and the Meta-World assets."""
    link = LIBRARY.with_name("libmujoco.so")
    if sha256(LIBRARY) == LIBRARY_SHA256 and link.resolve() == LIBRARY and assets_agree():
        return
    print("setup: fetching MuJoCo 3.17.0 and Meta-World 3.1.1 (63 MB)", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        pip_download(["--only-binary", ":all:", *PLATFORM, "-r", str(ROOT / "scripts" / "assets.txt")], folder)
        mujoco, = folder.glob("mujoco-*.whl")
        unpack(mujoco, folder / "mujoco", ("mujoco/libmujoco.so", "mujoco-3.17.0.dist-info/"))
        LIBRARY.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "mujoco" / "mujoco" / LIBRARY.name, LIBRARY)
        for licence in (folder / "mujoco").glob("mujoco-3.17.0.dist-info/**/LICENSE*"):
            shutil.copy(licence, VENDOR / "mujoco" / licence.name)
        metaworld, = folder.glob("metaworld-*.whl")
        unpack(metaworld, METAWORLD, METAWORLD_PARTS)
    link.unlink(missing_ok=True)
    os.symlink(LIBRARY.name, link)
    if sha256(LIBRARY) != LIBRARY_SHA256:
        sys.exit(f"setup: {LIBRARY} has an unexpected hash: {sha256(LIBRARY)}")
    if not assets_agree():
        sys.exit(f"setup: the Meta-World assets under {METAWORLD} do not agree with their RECORD")


def fetch_chain():
    """The runtime metadata that the development chain serves, and the records of a real node that the tests compare with."""
    extract = [sys.executable, str(ROOT / "scripts" / "extract_chain_metadata.py")]
    if subprocess.run([*extract, "--check", str(CHAIN)], check=False).returncode == 0:
        return
    print("setup: fetching the chain's metadata and records (3 MB)", file=sys.stderr)
    pins = [pin for pin in (ROOT / "scripts" / "chain.txt").read_text().splitlines() if not pin.startswith("#")]
    for pin in pins:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            requirement = folder / "chain.txt"
            requirement.write_text(pin + "\n")
            pip_download(["--no-binary", ":all:", "-r", str(requirement)], folder)
            archive, = folder.glob("bittensor-*.tar.gz")
            subprocess.run([*extract, str(archive), str(CHAIN)], check=True)
    if subprocess.run([*extract, "--check", str(CHAIN)], check=False).returncode != 0:
        sys.exit(f"setup: {CHAIN} does not hold what scripts/chain.txt should give")


def fetch_policy_server():
    """FastAPI for the strict policy server of the tests, unpacked: nothing of it is installed."""
    if policy_server_agrees():
        return
    if sys.version_info.major != 3 or sys.version_info.minor not in POLICY_SERVER_PYTHONS:
        first, last = POLICY_SERVER_PYTHONS[0], POLICY_SERVER_PYTHONS[-1]
        sys.exit(f"setup: {POLICY_SERVER_PINS.name} has hashes for Python 3.{first} to 3.{last}; this is {sys.version.split()[0]}")
    print("setup: fetching FastAPI 0.165.0 for the tests (5 MB)", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        pip_download(["--only-binary", ":all:", "-r", str(POLICY_SERVER_PINS)], folder)
        shutil.rmtree(POLICY_SERVER, ignore_errors=True)
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(POLICY_SERVER)
    if not policy_server_agrees():
        sys.exit(f"setup: the packages under {POLICY_SERVER} do not agree with their RECORD")


if __name__ == "__main__":
    fetch_simulation()
    fetch_chain()
    if "--tests" in sys.argv[1:]:
        fetch_policy_server()
