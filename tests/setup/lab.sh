#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Tests on real hosts: bring three QEMU hosts up (Debian 12 twice, Debian 13), run, and take down what this script started.
set -eu
inventory=${LAB_DIR:-build/lab}/inventory.yml
started=
if [ ! -e "$inventory" ]; then
  make --no-print-directory lab-up HOSTS=3 SUITES=bookworm,bookworm,trixie
  started=yes
fi
clock() { echo $(($(date +%s) - $(cut -d. -f1 /proc/uptime))); }
before=$(clock)
failed=0
BULKHEAD_LAB_INVENTORY=$PWD/$inventory pytest tests/lab -m lab -ra || failed=1
(cd molecule/.. && molecule --env-file /dev/null test -s default) || failed=1
drift=$(($(clock) - before))
if [ "${drift#-}" -gt 2 ]; then
  echo "the clock of this machine moved by $drift s against its uptime during the tests" >&2
  failed=1
fi
[ -z "$started" ] || make --no-print-directory lab-down
exit $failed
