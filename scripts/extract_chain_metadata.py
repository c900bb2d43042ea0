"""Extracts the chain's runtime metadata from the source distribution of bittensor 11.3.0.

    extract_chain_metadata.py ARCHIVE FOLDER    writes metadata-461-v15.scale and metadata-461-v14.scale into FOLDER
    extract_chain_metadata.py --check FOLDER    exit status 0 when both are there with the expected hashes, 1 otherwise

The archive's tests/fixtures/golden.json holds two records of a real node: `v15_hex`, what the runtime call
Metadata_metadata_at_version(15) answered (an option byte, a compact length, the metadata), and `v14_hex`, the bare metadata.
Prints nothing when all is up to date.
"""

import hashlib
import json
import pathlib
import sys
import tarfile

FIXTURE = "tests/fixtures/golden.json"
FIXTURE_LIMIT = 64 * 1024 * 1024
V15 = "metadata-461-v15.scale"
V14 = "metadata-461-v14.scale"
SHA256 = {
    V15: "0d812a161c40efbe58ac13785cb579ab79b0bc7c4b57f5bcd27981501a8c8ca8",
    V14: "e84884bbe6d85cd302f268ceee14d628a4c2fae6901535b3ebc0f23376dec753",
}


def up_to_date(folder):
    """Whether both files are there with the expected hashes."""
    for name, expected in SHA256.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            return False
    return True


def fixture(archive):
    """The parsed golden.json of the source distribution."""
    with tarfile.open(archive, "r:gz") as members:
        for member in members:
            if member.isfile() and member.name.endswith("/" + FIXTURE):
                if member.size > FIXTURE_LIMIT:
                    sys.exit(f"setup: {FIXTURE} in {archive} has {member.size} bytes, more than {FIXTURE_LIMIT}")
                return json.load(members.extractfile(member))
    sys.exit(f"setup: {archive} holds no {FIXTURE}")


def unhex(text):
    """Bytes from hex digits, with or without 0x."""
    return bytes.fromhex(text.removeprefix("0x"))


def bare(answer):
    """The metadata inside Some(Vec<u8>): without the option byte and the compact length."""
    if len(answer) < 5 or answer[0] != 1 or answer[1] & 3 != 2:
        sys.exit("setup: v15_hex is not Some(bytes) with a four-byte compact length")
    length = int.from_bytes(answer[1:5], "little") >> 2
    if length != len(answer) - 5:
        sys.exit(f"setup: v15_hex announces {length} bytes and holds {len(answer) - 5}")
    return answer[5:]


def main():
    """Extracts or checks, as the command line says."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--check":
        sys.exit(0 if up_to_date(pathlib.Path(sys.argv[2])) else 1)
    archive, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    if up_to_date(folder):
        return
    recorded = fixture(archive)["metadata"]
    blobs = {V15: bare(unhex(recorded["v15_hex"])), V14: unhex(recorded["v14_hex"])}
    folder.mkdir(parents=True, exist_ok=True)
    for name, blob in blobs.items():
        actual = hashlib.sha256(blob).hexdigest()
        if actual != SHA256[name]:
            sys.exit(f"setup: {name} from {archive} has the hash {actual}, expected {SHA256[name]}")
        unfinished = folder / (name + ".part")
        unfinished.write_bytes(blob)
        unfinished.replace(folder / name)
        print(f"setup: wrote {folder / name} ({len(blob)} bytes)", file=sys.stderr)


if __name__ == "__main__":
    main()
