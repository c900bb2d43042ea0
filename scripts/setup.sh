#!/usr/bin/env bash
# Brings a bare Debian machine to where `cargo build` works, with `--tests` also `cargo test`. Idempotent; quiet when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(postgresql redis-server libegl1 libegl-mesa0 libgl1-mesa-dri)
programs=(redis-server initdb)
for_assets=()
case "${1:-}" in
    "") ;;
    --tests) packages+=(pgbouncer) programs+=(pgbouncer) for_assets=(--tests) ;;
    *) echo "setup: unknown argument $1; usage: setup.sh [--tests]" >&2; exit 2 ;;
esac

if command -v dpkg-query >/dev/null; then
    missing=()
    for package in "${packages[@]}"; do
        dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        install="apt-get update && apt-get install --yes --no-install-recommends ${missing[*]}"
        if [ "$(id -u)" -ne 0 ]; then
            echo "setup: these Debian packages are missing and installing them needs root. Run:" >&2
            echo "    sudo sh -c '$install'" >&2
            exit 1
        fi
        echo "setup: installing ${missing[*]}" >&2
        DEBIAN_FRONTEND=noninteractive sh -c "$install" >.setup.log 2>&1 || { tail -n 20 .setup.log >&2; exit 1; }
        rm -f .setup.log
    fi
else
    for binary in "${programs[@]}"; do
        command -v "$binary" >/dev/null || { echo "setup: no Debian here and no $binary in PATH: install PostgreSQL, Redis, Mesa's EGL and, for the tests, PgBouncer" >&2; exit 1; }
    done
fi

if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "setup: python3 has no pip. Run: apt-get install --yes python3-pip" >&2
    exit 1
fi

python3 scripts/fetch_assets.py "${for_assets[@]}"
