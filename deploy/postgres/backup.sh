#!/bin/sh
# Writes one consistent copy of the database to a file.
#
# usage: backup.sh FILE
#
# libpq's variables (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGPASSFILE) say where the server is and who asks: coder_owner
# is enough. The copy holds no keyring: without that of coderd-api the engine states in it cannot be read.
set -eu

[ $# = 1 ] || {
  echo "usage: backup.sh FILE" >&2
  exit 2
}
file=$1
[ ! -e "$file" ] || {
  echo "backup.sh: $file exists; name another file" >&2
  exit 1
}

umask 077
trap 'rm -f "$file.part"' EXIT
pg_dump --format=custom --no-password --dbname=coder --file="$file.part"
# A table of contents that cannot be read now cannot be read when it is needed.
pg_restore --list "$file.part" >/dev/null
mv "$file.part" "$file"
echo "backup.sh: wrote $file"
