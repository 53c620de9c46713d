#!/bin/sh
# Read by bazel on every build; the value enters only binaries built with --stamp.
echo "STABLE_GIT_REVISION $(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)"
