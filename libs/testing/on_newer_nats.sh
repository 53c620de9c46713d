#!/bin/sh
# Runs a test on the nats-server that ./dev test built instead of the distribution's.
set -eu
if [ ! -x "${CODER_TEST_NEWER_NATS_SERVER:-}" ]; then
  echo "CODER_TEST_NEWER_NATS_SERVER names no program; run the tests with ./dev test, which sets it" >&2
  exit 1
fi
CODER_TEST_NATS_SERVER=$CODER_TEST_NEWER_NATS_SERVER
export CODER_TEST_NATS_SERVER
exec "./$1"
