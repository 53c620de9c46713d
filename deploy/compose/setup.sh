#!/bin/sh
# Makes the secrets of a compose deployment, once: setup.sh [FOLDER] (default: secrets beside this file).
#
# The folder is for its owner alone; the files in it are readable, because they are mounted into containers whose users
# the machine does not know. REGISTRY and TAG name the image of coderd-api, which makes the keys.
set -eu

folder=${1:-$(dirname "$0")/secrets}
image=${REGISTRY:-ghcr.io/coder-suite}/coderd-api:${TAG:-0.1.0}
[ ! -e "$folder" ] || {
  echo "setup.sh: $folder exists; remove it to begin anew, with the volumes that were made by it" >&2
  exit 1
}

fresh=$folder.new
rm -rf "$fresh"
mkdir -m 700 "$fresh"
secret() {
  head -c 24 /dev/urandom | od -An -vtx1 | tr -d ' \n'
}
keep() {
  cat >"$fresh/$1"
  chmod 444 "$fresh/$1"
}

owner=$(secret) api=$(secret) relay=$(secret) nats_api=$(secret) nats_relay=$(secret)
keep postgres.env <<TXT
POSTGRES_PASSWORD=$(secret)
CODER_OWNER_PASSWORD=$owner
CODER_API_PASSWORD=$api
CODER_RELAY_PASSWORD=$relay
TXT
echo "postgres://coder_owner:$owner@postgres/coder" | keep owner-url
echo "postgres://coder_api:$api@postgres/coder" | keep api-url
echo "postgres://coder_relay:$relay@postgres/coder" | keep relay-url
keep nats-passwords.conf <<TXT
coderd_api_password: "$nats_api"
pubsub_relay_password: "$nats_relay"
TXT
echo "nats://coderd-api:$nats_api@nats:4222" | keep nats-api-url
echo "nats://pubsub-relay:$nats_relay@nats:4222" | keep nats-relay-url
secret | keep grafana-password
# Apart from the pipe, so that a failure ends the script.
key=$(docker run --rm "$image" new-key)
echo "$key" | keep keyring
token=$(docker run --rm "$image" new-service-token)
echo "$token" | keep service-token
# Filled when coderd-api runs.
: >"$fresh/provisioner-key"
chmod 644 "$fresh/provisioner-key"
mv "$fresh" "$folder"
echo "setup.sh: wrote $folder; back up $folder/keyring apart from the database"
