#!/bin/sh
# Puts PostgreSQL 16, 17 and 18 into a cache, for the tests of the PostgreSQL
# connector. Does nothing where they are already.
#
#   tools/postgres-matrix/install.sh           install
#   tools/postgres-matrix/install.sh --print   the bin directories, separated by colons
set -eu

here=$(cd "$(dirname "$0")" && pwd)
if [ "$(id -u)" -eq 0 ]; then
	# The servers run as another user, who may not enter where root works.
	cache=/var/cache/rampkeeper-tests/postgres
else
	cache=$(cd "$here/../.." && pwd)/.cache/postgres
fi
versions="16 17 18"

if [ "${1:-}" = --print ]; then
	dirs=
	for v in $versions; do dirs="$dirs${dirs:+:}$cache/$v/bin"; done
	echo "$dirs"
	exit 0
fi

# The lock file's hash marks what is installed, so that a new pin reinstalls.
stamp=$(sha256sum "$here/package-lock.json" | cut -d' ' -f1)
if [ "$(cat "$cache/stamp" 2>/dev/null || true)" = "$stamp" ]; then
	exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$work/"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)

mkdir -p "$cache"
for v in $versions; do
	rm -rf "${cache:?}/$v"
	mv "$work/node_modules/postgres-$v/native" "$cache/$v"
	# The packages cannot hold symbolic links; they list them instead, and
	# their own install script, which would make them, is not run.
	node -e '
		const fs = require("fs"), path = require("path");
		const root = path.resolve(process.argv[1]);
		const inside = (name) => {
			const full = path.resolve(root, path.relative("native", name));
			if (!full.startsWith(root + path.sep)) throw new Error("a link leads out of the package: " + name);
			return full;
		};
		for (const { source, target } of JSON.parse(fs.readFileSync(path.join(root, "pg-symlinks.json"), "utf8"))) {
			fs.rmSync(inside(target), { force: true });
			fs.symlinkSync(path.relative(path.dirname(inside(target)), inside(source)), inside(target));
		}
	' "$cache/$v"
	chmod +x "$cache/$v"/bin/*
done
chmod -R a+rX "$cache" # a server that was started as root runs as another user
echo "$stamp" >"$cache/stamp"
