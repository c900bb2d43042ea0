#!/usr/bin/env bash
# Renews .sqlx, the offline cache of the checked queries, against a private Postgres that holds the migrations.
# (The sqlx macros write it themselves when told where: no separate tool is needed.)
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
# Its socket lies in this folder, which other users cannot enter: the server asks for no password.
data=$(mktemp -d)
as_postgres=()
if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$data"
    as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
stop() {
    "${as_postgres[@]}" "$bin/pg_ctl" -D "$data/pg" -m immediate -s stop || true
    rm -rf "$data"
}
trap stop EXIT

"${as_postgres[@]}" "$bin/initdb" -D "$data/pg" -U kinitro --auth=trust -E UTF8 >/dev/null
"${as_postgres[@]}" "$bin/pg_ctl" -D "$data/pg" -s -w -l "$data/log" \
    -o "-c listen_addresses= -c unix_socket_directories=$data -c fsync=off" start
for file in migrations/*/*.sql; do
    "$bin/psql" --quiet --set ON_ERROR_STOP=1 -h "$data" -U kinitro -d postgres -f "$file"
done

rm -rf .sqlx
mkdir .sqlx
# The macros run only when their crate is compiled.
for crate in ingestion scheduling scoring; do
    touch "services/$crate/src/lib.rs"
done
touch services/kinitro/src/main.rs
SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$PWD/.sqlx" DATABASE_URL="postgres:///postgres?host=$data&user=kinitro" \
    cargo check --quiet --workspace --all-targets
echo "prepared $(ls .sqlx | wc -l) queries"
