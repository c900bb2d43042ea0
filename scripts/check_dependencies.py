"""Holds what we depend on against deny.toml: licences, sources, and crates in more than one version.

cargo-deny reads the same file; this checks the part of it that we use with nothing but Cargo and Python, so that `make lint` needs no
tool that has to be built first. Which crates are linked is asked of `cargo tree`, because `cargo metadata` also lists optional ones
that no feature turns on. A key of deny.toml that is not checked here is an error: the file promises nothing that is not held.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECKED = {
    "graph": {"targets"},
    "licenses": {"allow", "unused-allowed-license"},
    "sources": {"unknown-registry", "unknown-git", "allow-registry", "allow-git"},
    "bans": {"multiple-versions", "skip"},
}

problems = []


def report(where, problem):
    """Notes a defect; all are printed at the end."""
    problems.append(f"{where}: {problem}")


def cargo(*arguments):
    """What Cargo prints."""
    shown = subprocess.run(["cargo", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode != 0:
        sys.exit(f"check_dependencies: cargo {' '.join(arguments)} failed: {shown.stderr.strip()}")
    return shown.stdout


def packages(target):
    """The crates that are linked for a target, tests and build scripts included, without our own."""
    known = {}
    for package in json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))["packages"]:
        known.setdefault((package["name"], package["version"]), []).append(package)
    tree = cargo("tree", "--locked", "--workspace", "--edges", "normal,build,dev", "--target", target, "--prefix", "none", "--format", "{p}")
    linked = set(re.findall(r"^(\S+) v(\S+)", tree, re.MULTILINE))
    ours = lambda package: package["source"] is None and pathlib.Path(package["manifest_path"]).is_relative_to(ROOT)
    return [package for key in sorted(linked) for package in known[key] if not ours(package)]


def alternatives(expression):
    """An SPDX expression as a list of sets: all licences of one of the sets are to be kept. `/` is what `OR` once was."""
    words = re.findall(r"\(|\)|[^\s()/]+|/", expression)
    words = ["OR" if word == "/" else word for word in words]

    def either():
        sets = both()
        while words and words[0] == "OR":
            words.pop(0)
            sets = sets + both()
        return sets

    def both():
        sets = one()
        while words and words[0] == "AND":
            words.pop(0)
            others = one()
            sets = [left | right for left in sets for right in others]
        return sets

    def one():
        if not words or words[0] in (")", "OR", "AND", "WITH"):
            raise ValueError(expression)
        word = words.pop(0)
        if word == "(":
            sets = either()
            if not words or words.pop(0) != ")":
                raise ValueError(expression)
            return sets
        if words and words[0] == "WITH":
            words.pop(0)
            word = f"{word} WITH {words.pop(0)}"
        return [{word}]

    sets = either()
    if words:
        raise ValueError(expression)
    return sets


def check_licences(rules, linked):
    """Every crate can be used under licences that are allowed, and every allowed licence is needed."""
    allowed, used = set(rules["allow"]), set()
    for package in linked:
        where = f"{package['name']} {package['version']}"
        try:
            possible = alternatives(package["license"] or "")
        except (ValueError, IndexError):
            report(where, f"its manifest names no licence that can be read ({package['license']!r}): do without it")
            continue
        kept = [licences for licences in possible if licences <= allowed]
        if not kept:
            report(where, f"its licence {package['license']!r} is not allowed: do without it, or allow it in deny.toml")
        used.update(*kept)
    for licence in sorted(allowed - used):
        report("deny.toml", f"licenses.allow: no crate needs {licence!r}: remove it")


def check_sources(rules, linked):
    """Everything comes from a registry, or a repository, that is allowed."""
    for package in linked:
        kind, _, address = (package["source"] or "path+a folder outside this repository").partition("+")
        listed = rules["allow-git"] if kind == "git" else rules["allow-registry"]
        if kind not in ("git", "registry", "sparse") or address.split("?")[0].split("#")[0] not in listed:
            report(f"{package['name']} {package['version']}", f"comes from {address} ({kind}), which deny.toml does not allow")


def check_duplicates(rules, linked):
    """A crate is there in one version, but for those that are listed with a reason."""
    versions = {}
    for package in linked:
        versions.setdefault(package["name"], []).append(package["version"])
    skipped = {}
    for entry in rules["skip"]:
        name, _, begin = entry["crate"].partition("@")
        if not begin or not entry.get("reason"):
            report("deny.toml", f"bans.skip: {entry['crate']} needs a version (`name@1.2`) and a reason")
        skipped.setdefault(name, []).append(begin)
    for name, all_versions in sorted(versions.items()):
        begins = skipped.pop(name, [])
        of = lambda begin: [version for version in all_versions if f"{version}.".startswith(f"{begin}.")]
        left = [version for version in all_versions if not any(version in of(begin) for begin in begins)]
        if len(left) > 1:
            report(name, f"is there as {', '.join(left)}: bring all to one version, or list the older in bans.skip of deny.toml")
        for begin in begins:
            if len(all_versions) < 2 or not of(begin):
                report("deny.toml", f"bans.skip: {name}@{begin} is not there beside another version any more: remove the line")
    for name in skipped:
        report("deny.toml", f"bans.skip: {name} is not there any more: remove the line")


def main():
    """Runs all checks; exit status 1 when one found something."""
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    for section, content in rules.items():
        for key in sorted(content.keys() - CHECKED.get(section, set())):
            report("deny.toml", f"{section}.{key} is not checked by scripts/check_dependencies.py: remove it, or check it there")
    strict = [("licenses", "unused-allowed-license"), ("sources", "unknown-registry"), ("sources", "unknown-git"), ("bans", "multiple-versions")]
    for section, key in strict:
        if rules[section][key] != "deny":
            report("deny.toml", f"{section}.{key} is {rules[section][key]!r}; it is held as \"deny\": say so")
    for target in rules["graph"]["targets"]:
        linked = packages(target)
        check_licences(rules["licenses"], linked)
        check_sources(rules["sources"], linked)
        check_duplicates(rules["bans"], linked)
    for problem in problems:
        print(f"check_dependencies: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"check_dependencies: {len(linked)} crates are as deny.toml wants them")


if __name__ == "__main__":
    main()
