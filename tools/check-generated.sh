#!/usr/bin/env bash
# Fails when a generated file differs from what its source gives.
set -euo pipefail
cd "$(dirname "$0")/.."
before=$(mktemp)
trap 'rm -f "$before"' EXIT
list() { git ls-files -co --exclude-standard -z | xargs -0 sha256sum 2>/dev/null; }
list >"$before"
go generate ./...
if ! diff <(list) "$before" >/dev/null; then
	echo "generated files have drifted; run 'make generate' and commit:" >&2
	diff <(list) "$before" | awk '/^[<>]/ {print "  " $3}' | sort -u >&2
	exit 1
fi
go mod tidy -diff >/dev/null || {
	echo "go.mod is not tidy; run 'go mod tidy' and commit" >&2
	exit 1
}
echo "generated files are current"
