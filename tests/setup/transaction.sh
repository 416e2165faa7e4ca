#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# The host transaction, short, on two containers: kills, faults, a policy that cuts ssh, confirmations at the deadline.
# Each exam runs whatever became of the one before. What they show in full is in their own targets.
set -u
failed=0
KILLS=14 python tests/exams/kill.py || failed=1
ONLY="disk_full torn_marker torn_receipt guard_killed" python tests/exams/faults.py || failed=1
TRIALS=4 python tests/exams/lockout.py || failed=1
WALKS=100 RACES=4 python tests/exams/race.py || failed=1
exit "$failed"
