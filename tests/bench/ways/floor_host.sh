#!/bin/sh
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# What the floor's script runs on a host, before the calls of "put" that carry the files.
set -eu
# The calls that follow ask for it.
# shellcheck disable=SC2034
changed=
new=$(mktemp /run/bench.XXXXXX)
trap 'rm -f "$new"' EXIT

# put PATH MODE: standard input becomes the file, to last, where it is not there yet
put() {
  cat >"$new"
  ! cmp -s "$new" "$1" || return 0
  # shellcheck disable=SC2034
  changed=yes
  mkdir -p "${1%/*}"
  cp "$new" "$1.new"
  chmod "$2" "$1.new"
  sync "$1.new"
  mv "$1.new" "$1"
  sync "${1%/*}"
}

restart() {
  systemctl daemon-reload
  systemctl restart nginx.service
}

health() {
  curl -fsS -o /dev/null --retry 10 --retry-delay 1 --retry-connrefused http://127.0.0.1/
}
