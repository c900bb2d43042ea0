"""Checks Dockerfile, the compose files and k8s/ without a container engine.

Every document against its schema (the compose specification's and Kubernetes' own), every command line of ours against the
binary's help, every variable of ours against the binary's configuration, and the rules that we hold ourselves to: probes,
not root, no privilege escalation. The validators come from the package registry by pinned hashes, into .vendor/lint.
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "scripts" / "lint.txt"
LINT = ROOT / ".vendor" / "lint"
KUBERNETES = "1.35"
COMPOSE = ["compose.yaml", "compose.validator.yaml"]
KUSTOMIZATIONS = ["base", "validator"]
# What .env would say, where "x" is no plausible value.
REQUIRED = {"NETUID": "1", "BACKEND_URL": "https://backend.example", "MESH_TOKEN": "m" * 32}
# Settings that stand for what a secret would hold.
SECRETS = {"api-key": "x", "postgres-password": "x", "ingestion-password": "x", "scheduling-password": "x", "scoring-password": "x",
           "redis-password": "x", "mesh-token": "m" * 32, "mesh-token-previous": "n" * 32,
           "backend-private-key": "07" * 32, "backend-previous-private-key": "09" * 32}
# What an operator must say, as no default is right: (config map, key) to a plausible value.
ASKED = {("kinitro-subnet", "netuid"): "1"}
# The services with a database. Their default is a database on the same machine, which a container does not have.
NEED_DATABASE = ("ingestion", "scheduling", "scoring")
DATABASE_URL = "KINITRO_SCHEDULER_DATABASE_URL"
# The services that show each other the mesh token, and refuse to be reached from other containers without one.
NEED_MESH_TOKEN = ("ingestion", "scheduling", "scoring", "execution", "gateway")
MESH_TOKEN = "KINITRO_MESH_TOKEN"

problems = []


def report(where, problem):
    """Notes a defect; all are printed at the end."""
    problems.append(f"{where}: {problem}")


def install_validators():
    """Installs the pinned validators when they are not there or the pins changed, and makes them importable."""
    stamp = LINT / ".pins"
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != pins:
        print("lint: fetching the schemas (23 MB)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade",
                        "--no-deps", "--require-hashes", "--only-binary", ":all:", "--root-user-action", "ignore",
                        "--target", str(LINT), "-r", str(REQUIREMENTS)], check=True)
        stamp.write_text(pins)
    sys.path.insert(0, str(LINT))


class Binary:
    """The `kinitro` of this tree: what flags it takes and what variables it knows."""

    def __init__(self):
        subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "kinitro"], check=True, cwd=ROOT,
                       env={**os.environ, "SQLX_OFFLINE": "true"})
        self.path = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "kinitro"

    def check_arguments(self, where, arguments):
        """The subcommand exists and takes every flag."""
        subcommands = []
        for argument in arguments:
            if not re.fullmatch(r"[a-z][a-z-]*", argument):
                break
            subcommands.append(argument)
        shown = subprocess.run([self.path, *subcommands, "--help"], capture_output=True, text=True, check=False)
        if shown.returncode != 0:
            report(where, f"no such command: kinitro {' '.join(subcommands)}")
        for flag in (argument for argument in arguments if argument.startswith("--")):
            if not re.search(rf"(^|\s){flag}(\s|$|=)", shown.stdout):
                report(where, f"kinitro {' '.join(subcommands)} has no flag {flag}")

    def check_environment(self, where, environment):
        """Every variable of ours is known and has a valid value."""
        ours = {name: value for name, value in environment.items() if name.startswith("KINITRO_")}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("KINITRO_")}
        checked = subprocess.run([self.path, "config"], capture_output=True, text=True, check=False, env=clean | ours)
        if checked.returncode != 0:
            report(where, checked.stderr.strip())


def substitute(value):
    """Compose's variable substitution, with a plausible value for what is required."""
    value = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
    return re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: REQUIRED.get(match[1], "x"), value)


def check_database(where, arguments, environment):
    """A service with a database is told where it is."""
    if arguments and arguments[0] in NEED_DATABASE and not environment.get(DATABASE_URL):
        report(where, f"{arguments[0]} is not told where its database is: {DATABASE_URL} is not set")


def check_mesh_token(where, arguments, environment):
    """A service of the mesh has the token."""
    if arguments and arguments[0] in NEED_MESH_TOKEN and not environment.get(MESH_TOKEN):
        report(where, f"{arguments[0]} has no mesh token: {MESH_TOKEN} is not set")


def check_compose(binary, file):
    """One compose file."""
    import jsonschema
    import yaml

    schema = json.loads((LINT / "compose" / "config" / "compose_spec.json").read_text())
    compose = yaml.safe_load((ROOT / file).read_text())
    for error in jsonschema.Draft7Validator(schema).iter_errors(compose):
        report(f"{file} {'/'.join(map(str, error.path))}", error.message)
    for name, service in compose["services"].items():
        where = f"{file} {name}"
        if not str(service["image"]).startswith("kinitro"):
            continue
        binary.check_arguments(where, service["command"])
        for variable, value in service["environment"].items():
            if variable.endswith("_NETUID") and not re.fullmatch(r"\$\{\w+:\?[^}]*\}", str(value)):
                report(where, f"{variable} has a default: a wrong subnet looks like one without miners")
        environment = {key: substitute(value) for key, value in service["environment"].items()}
        check_database(where, service["command"], environment)
        check_mesh_token(where, service["command"], environment)
        binary.check_environment(where, environment)
        if name != "migrate" and "healthcheck" not in service:
            report(where, "has no healthcheck")
        if "healthcheck" in service:
            binary.check_arguments(f"{where} healthcheck", service["healthcheck"]["test"][2:])
        if service.get("cap_drop") != ["ALL"]:
            report(where, "keeps capabilities: set cap_drop: [ALL]")


def container_environment(container, config_maps):
    """The variables of a container, with config maps resolved and secrets stood in for."""
    environment = {}
    for source in container.get("envFrom", []):
        environment |= config_maps[source["configMapRef"]["name"]]
    for variable in container.get("env", []):
        source = variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            environment[variable["name"]] = SECRETS[source["secretKeyRef"]["key"]]
        elif "configMapKeyRef" in source:
            asked = source["configMapKeyRef"]
            environment[variable["name"]] = ASKED[asked["name"], asked["key"]]
        else:
            environment[variable["name"]] = variable["value"]
    return environment


def check_kubernetes(binary, folder):
    """One folder of k8s/: every file that the kustomization names, and no other."""
    import kubernetes_validate
    import yaml

    base = ROOT / "k8s" / folder
    kustomization = yaml.safe_load((base / "kustomization.yaml").read_text())
    files = {path.name for path in base.glob("*.yaml")} - {"kustomization.yaml"}
    for name in files ^ set(kustomization["resources"]):
        report(f"k8s/{folder}/{name}", "is not both a file and a resource of kustomization.yaml")
    documents = [(name, document) for name in sorted(files) for document in yaml.safe_load_all((base / name).read_text())]
    config_maps = {document["metadata"]["name"]: document["data"] for _, document in documents
                   if document["kind"] == "ConfigMap"}
    for name, document in documents:
        where = f"k8s/{folder}/{name} {document['kind']} {document['metadata']['name']}"
        for variable in document.get("data", {}) if document["kind"] == "ConfigMap" else ():
            if variable.endswith("_NETUID"):
                report(where, f"{variable} has a default: a wrong subnet looks like one without miners")
        try:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            report(where, error.message)
        if document["kind"] not in ("Deployment", "StatefulSet"):
            continue
        pod = document["spec"]["template"]["spec"]
        if not pod["securityContext"].get("runAsNonRoot"):
            report(where, "may run as root: set runAsNonRoot")
        for container in pod.get("initContainers", []) + pod["containers"]:
            if container["name"] != "migrate" and "readinessProbe" not in container:
                report(where, f"container {container['name']} has no readinessProbe")
            if container["image"].startswith("kinitro"):
                if container["securityContext"].get("allowPrivilegeEscalation") is not False:
                    report(where, f"container {container['name']} may escalate its privileges")
                binary.check_arguments(where, container["args"])
                environment = container_environment(container, config_maps)
                check_database(f"{where} container {container['name']}", container["args"], environment)
                check_mesh_token(f"{where} container {container['name']}", container["args"], environment)
                binary.check_environment(where, environment)


def check_dockerfile():
    """The image does not run as root, and copies only what set-up makes."""
    text = (ROOT / "Dockerfile").read_text()
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    if not users or users[-1] in ("root", "0"):
        report("Dockerfile", "the image would run as root: end with a USER")
    version = re.search(r'^rust-version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    if f"FROM rust:{version}-" not in text:
        report("Dockerfile", f"builds with another toolchain than rust-version {version}")


def main():
    """Runs all checks; exit status 1 when one found something."""
    install_validators()
    binary = Binary()
    check_dockerfile()
    for file in COMPOSE:
        check_compose(binary, file)
    for folder in KUSTOMIZATIONS:
        check_kubernetes(binary, folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(1)
    print("deployment files: ok")


if __name__ == "__main__":
    main()
