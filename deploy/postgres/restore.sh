#!/bin/sh
# Puts a copy made by backup.sh in the place of the database, which is kept beside it.
#
# usage: restore.sh FILE
#
# libpq's variables (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGPASSFILE) say where the server is and name a superuser;
# roles.sql has been run. CODERD_API names the program (default: coderd-api from PATH) of the version that runs.
#
# The database goes back in time, and events that clients have seen never happened. So the copy begins a new epoch of
# events before any service can reach it: resume tokens of before end with EPOCH_CHANGED, and clients take a snapshot
# instead of going on in a history that is not theirs. Services may run meanwhile; they lose their sessions once, when
# the databases change places.
set -eu

[ $# = 1 ] || {
  echo "usage: restore.sh FILE" >&2
  exit 2
}
file=$1
coderd_api=${CODERD_API:-coderd-api}
fresh=coder_restoring
kept=coder_before_$(date -u +%Y%m%d_%H%M%S)

ask() {
  psql -X -q -v ON_ERROR_STOP=1 --no-password "$@"
}

# As the owner, so that what a migration makes is the owner's.
suite() {
  "$coderd_api" "$1" --migrate-url="dbname=$fresh options='-c role=coder_owner'"
}

pg_restore --list "$file" >/dev/null
ask -d postgres <<SQL
DROP DATABASE IF EXISTS $fresh;
CREATE DATABASE $fresh OWNER coder_owner;
REVOKE ALL ON DATABASE $fresh FROM PUBLIC;
SQL
pg_restore --no-password --exit-on-error --single-transaction --dbname="$fresh" "$file"
suite migrate
suite new-epoch

ask -d postgres <<SQL
SELECT 'ALTER DATABASE coder ALLOW_CONNECTIONS false' WHERE EXISTS (SELECT FROM pg_database WHERE datname = 'coder') \gexec
SELECT FROM pg_stat_activity, pg_terminate_backend(pid) WHERE datname IN ('coder', '$fresh');
BEGIN;
SELECT 'ALTER DATABASE coder RENAME TO $kept' WHERE EXISTS (SELECT FROM pg_database WHERE datname = 'coder') \gexec
ALTER DATABASE $fresh RENAME TO coder;
GRANT CONNECT ON DATABASE coder TO coder_owner, coder_api, coder_relay;
COMMIT;
SQL
echo "restore.sh: coder is $file in a new epoch; what was there before is $kept, to be dropped when it is not needed"
