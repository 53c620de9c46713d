#!/bin/sh
# Starts PostgreSQL as the image docker.io/library/postgres does, in the parts of it that the suite uses: a new data
# directory gets POSTGRES_PASSWORD, logins by password from everywhere, and the files of /docker-entrypoint-initdb.d.
set -eu

if [ "${1:-postgres}" != postgres ]; then
  exec "$@"
fi
[ $# = 0 ] || shift

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?is needed for a new data directory}"
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  secret=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" >"$secret"
  initdb --username=postgres --pwfile="$secret" --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
  rm "$secret"
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  pg_ctl --wait start --options="-c listen_addresses="
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) sh "$file" ;;
      *.sql) psql -X -v ON_ERROR_STOP=1 -U postgres -d postgres -f "$file" ;;
    esac
  done
  pg_ctl --wait --mode=fast stop
fi
exec postgres -c "listen_addresses=*" "$@"
