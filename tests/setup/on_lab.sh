#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# What runs on a lab, one after the other, all of it even if one part fails. Usage: on_lab.sh short|all
# short, for every `make test`: the lab itself, hosts that must refuse, and a host confined, confined again and proven.
set -u
failed=0
if [ "$1" = all ]; then
  pytest tests/lab -m lab -ra || failed=1
  python tests/exams/road.py || failed=1
else
  pytest tests/lab/test_lab.py tests/lab/test_refusals.py -m lab -ra || failed=1
fi
molecule --env-file /dev/null test -s default || failed=1
exit "$failed"
