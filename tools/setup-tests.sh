#!/usr/bin/env bash
# Installs what tests need besides Go and the distribution's PostgreSQL: an
# OpenID provider that runs on Node, and more versions of PostgreSQL. Does
# nothing when they are here already.
set -euo pipefail
cd "$(dirname "$0")/oidc-provider"

if ! command -v npm >/dev/null; then
	echo "The tests of internal/authn sign in at an OpenID provider that runs on Node 20 or newer. Install Node with npm, then run tools/setup-tests.sh." >&2
	exit 1
fi
if ! cmp -s package-lock.json node_modules/.installed; then
	echo "installing the tests' OpenID provider (npm)"
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	cp package-lock.json node_modules/.installed
fi
../postgres-matrix/install.sh
