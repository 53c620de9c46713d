#!/bin/sh
# Installs the suite's programs and units on this machine, as root; safe to repeat, and for upgrades.
#
# usage: install.sh FOLDER
#
# FOLDER has coderd-api, pubsub-relay, provisionerd and autostart-scheduler, and coderctl if you like. What is in
# /etc/coder-suite already stays as it is.
set -eu

[ $# = 1 ] || {
  echo "usage: install.sh FOLDER" >&2
  exit 2
}
programs=$1
here=$(dirname "$0")
secrets=/etc/coder-suite/secrets

for name in coderd-api pubsub-relay provisionerd autostart-scheduler coderctl; do
  if [ "$name" != coderctl ] || [ -e "$programs/$name" ]; then
    install -m 755 "$programs/$name" "/usr/bin/$name"
  fi
done
install -d -m 755 /etc/coder-suite
install -d -m 700 "$secrets"
for file in "$here"/etc/*.yaml; do
  [ -e "/etc/coder-suite/${file##*/}" ] || install -m 644 "$file" /etc/coder-suite/
done
make() {
  [ -e "$secrets/$1" ] || (
    umask 077
    coderd-api "$2" >"$secrets/$1.new"
    mv "$secrets/$1.new" "$secrets/$1"
  )
}
make keyring new-key
make service-token new-service-token
install -m 644 "$here"/*.service /etc/systemd/system/
systemctl daemon-reload

for name in owner-url api-url relay-url nats-api-url nats-relay-url provisioner-key; do
  [ -e "$secrets/$name" ] || echo "install.sh: $secrets/$name is yet to be written"
done
