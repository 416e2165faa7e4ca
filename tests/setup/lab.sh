#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Run a command against a lab of its own (Debian 12 twice, Debian 13; images come from the developer's lab), and take the
# lab down again. Whatever runs in build/lab is left alone. KIND=nspawn: containers.
set -eu
export KIND=${KIND:-qemu}
export LAB_DIR=$PWD/build/test-lab-$KIND
export BULKHEAD_LAB_INVENTORY=$LAB_DIR/inventory.yml
clock() { echo $(($(date +%s) - $(cut -d. -f1 /proc/uptime))); }
before=$(clock)
trap 'make --no-print-directory lab-down >"$LAB_DIR.down.log"' EXIT
make --no-print-directory lab-up HOSTS="${HOSTS:-3}" SUITES="${SUITES:-bookworm,bookworm,trixie}"
failed=0
"$@" || failed=$?
drift=$(($(clock) - before))
if [ "${drift#-}" -gt 2 ]; then
  echo "the clock of this machine moved by $drift s against its uptime during the tests" >&2
  failed=1
fi
exit "$failed"
