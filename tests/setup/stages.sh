#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Run the stages of `make test` one after another, all of them even if one fails, and say how each ended.
# Each has a standard input of its own: ssh makes the one that it is given non-blocking, and Ansible then will not start.
set -u
failed=0 summary=()
for stage in "$@"; do
  printf '\n=== %s\n' "$stage"
  start=$SECONDS
  if make --no-print-directory "test-$stage" </dev/null; then
    summary+=("ok      $stage ($((SECONDS - start)) s)")
  else
    summary+=("FAILED  $stage ($((SECONDS - start)) s)")
    failed=$((failed + 1))
  fi
done
printf '\n=== summary\n'
printf '%s\n' "${summary[@]}"
echo "$(($# - failed)) passed, $failed failed"
exit $((failed > 0))
