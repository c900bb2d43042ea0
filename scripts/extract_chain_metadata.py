"""Extracts what a real node answered from the source distributions of bittensor 11.3.0 (spec 461) and 11.0.0 (spec 419).

    extract_chain_metadata.py ARCHIVE FOLDER    writes the three files of the archive's spec into FOLDER
    extract_chain_metadata.py --check FOLDER    exit status 0 when all six are there with the expected hashes, 1 otherwise

The archive's tests/fixtures/golden.json is a record of a real node. Its metadata becomes two files: metadata-SPEC-v15.scale from
`v15_hex`, what the runtime call Metadata_metadata_at_version(15) answered (an option byte, a compact length, the metadata), and
metadata-SPEC-v14.scale from `v14_hex`, the bare metadata. The rest (storage keys and values, calls, signature payloads,
transactions, events, answers of runtime calls, a block) becomes golden-SPEC.json, against which the tests compare.
Prints nothing when all is up to date.
"""

import hashlib
import json
import pathlib
import sys
import tarfile

FIXTURE = "tests/fixtures/golden.json"
FIXTURE_LIMIT = 64 * 1024 * 1024
SHA256 = {
    461: {
        "metadata-461-v15.scale": "0d812a161c40efbe58ac13785cb579ab79b0bc7c4b57f5bcd27981501a8c8ca8",
        "metadata-461-v14.scale": "e84884bbe6d85cd302f268ceee14d628a4c2fae6901535b3ebc0f23376dec753",
        "golden-461.json": "1acbce007e8f2b8b2b87f2eaf386aae398c1b2bc8a84fdfdd93264967f6bff11",
    },
    419: {
        "metadata-419-v15.scale": "f013e0bed6ede4423219a8a58e1d4f04b4ebe5f920ec514bac58c705311e024b",
        "metadata-419-v14.scale": "af1751f29edb1aa23c98d1d7ae978d6e2a4c36769cd894bb071952c6d18cc539",
        "golden-419.json": "7dbd2c188f08b81bd897113b7a3920cdac68ef9b0dcf0cc224779ace970ca9c2",
    },
}


def up_to_date(folder):
    """Whether all files are there with the expected hashes."""
    for files in SHA256.values():
        for name, expected in files.items():
            path = folder / name
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
                return False
    return True


def fixture(archive):
    """The parsed golden.json of a source distribution."""
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
    golden = fixture(archive)
    metadata = golden.pop("metadata")
    spec = golden["network"]["spec_version"]
    if spec not in SHA256:
        sys.exit(f"setup: {archive} records a chain of spec {spec}, expected one of {list(SHA256)}")
    files = {
        f"metadata-{spec}-v15.scale": bare(unhex(metadata["v15_hex"])),
        f"metadata-{spec}-v14.scale": unhex(metadata["v14_hex"]),
        f"golden-{spec}.json": (json.dumps(golden, separators=(",", ":"), sort_keys=True) + "\n").encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        actual = hashlib.sha256(content).hexdigest()
        if actual != SHA256[spec][name]:
            sys.exit(f"setup: {name} from {archive} has the hash {actual}, expected {SHA256[spec][name]}")
        unfinished = folder / (name + ".part")
        unfinished.write_bytes(content)
        unfinished.replace(folder / name)


if __name__ == "__main__":
    main()
