#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Everything that runs on a lab, one after the other, all of it even if one part fails.
set -u
failed=0
pytest tests/lab -m lab -ra || failed=1
python tests/exams/road.py || failed=1
molecule --env-file /dev/null test -s default || failed=1
exit "$failed"
