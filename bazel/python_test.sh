#!/bin/sh
# Runs a Python module of the workspace with Debian's own interpreter and no packages but the standard ones.
set -eu
cd "$TEST_SRCDIR/$TEST_WORKSPACE"
exec env PYTHONPATH="$PWD" PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -s -m "$@"
