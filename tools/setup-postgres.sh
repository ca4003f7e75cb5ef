#!/usr/bin/env bash
# Makes sure that PostgreSQL's server programs are here: installs them with
# apt as root, else prints the one command that does. Starts nothing.
set -euo pipefail

found() {
	[ -n "${RAMPKEEPER_PG_BIN:-}" ] && [ -x "$RAMPKEEPER_PG_BIN/initdb" ] && return
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return
	command -v initdb >/dev/null && command -v postgres >/dev/null
}

found && exit 0
install='apt-get install -y --no-install-recommends postgresql'
if ! command -v apt-get >/dev/null; then
	echo "PostgreSQL 15 or newer is not installed. Install its server with this system's package manager, or set RAMPKEEPER_PG_BIN to the directory that holds initdb and postgres." >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "PostgreSQL is not installed. This installs it: sudo $install" >&2
	exit 1
fi
echo "installing PostgreSQL (apt)"
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=600 -qq update
# Only the programs are wanted: no cluster is created or started by the package.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
apt-get -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -qq install -y --no-install-recommends postgresql >/dev/null
