#!/bin/sh
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Install the Debian packages that a make target needs, or name the one command that does.
# Usage: packages.sh base|lab|test
set -eu

base="python3-venv openssh-client"
lab="$base qemu-system-x86 qemu-utils mmdebstrap e2fsprogs systemd-container busybox-static nftables iproute2 uidmap"
test="$lab chromium shellcheck tinyscheme"

case ${1:-} in
  base) wanted=$base ;;
  lab) wanted=$lab ;;
  test) wanted=$test ;;
  *) echo "usage: $0 base|lab|test" >&2; exit 2 ;;
esac

command -v dpkg-query >/dev/null || {
  echo "This is no Debian or Ubuntu; install what these packages hold by hand: $wanted" >&2
  exit 0
}
# Ubuntu's chromium is a transitional package for a snap; the browser test skips there and says so.
# shellcheck source=/dev/null
. /etc/os-release
[ "${ID:-}" != ubuntu ] || wanted=$(echo "$wanted" | sed 's/ chromium//')

missing=
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "Debian packages are missing. Install them with:" >&2
  echo "  sudo apt-get install --no-install-recommends$missing" >&2
  exit 1
fi
echo "Installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# shellcheck disable=SC2086
apt-get install -q -y --no-install-recommends $missing
