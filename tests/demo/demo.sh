#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# The whole road on a lab fleet: confine nginx in stages, prove it, push a faulty update, see it caught and rolled back.
# Every claim at the end is read from the hosts' own files and from the web servers, not from our reports.
set -eu
inventory=${LAB_DIR:-build/lab}/inventory.yml
work=build/demo
started=$SECONDS

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
play() { ansible-playbook -i "$inventory" "$@"; }
# on HOST COMMAND...: one command on a lab host over plain ssh, past everything of ours
on() { ansible -i "$inventory" "$1" -m ansible.builtin.raw -a "$2" 2>/dev/null | sed '1d;/^Shared connection/d' | tr -d '\r'; }
digest() { on "$1" 'cat /var/lib/bulkhead/nginx/active' | tr -d '[:space:]'; }
page() { on "$1" 'curl -s -o /dev/null -w "%{http_code}" http://127.0.0.1/healthz' | tr -d '[:space:]'; }

rm -rf "$work"
mkdir -p "$work/policies"

say "1 of 6  A lab fleet of real hosts (two Debian 12, one Debian 13)"
make --no-print-directory lab-up HOSTS="${HOSTS:-3}" SUITES="${SUITES:-bookworm,bookworm,trixie}"
mapfile -t hosts < <(ansible -i "$inventory" lab --list-hosts | sed '1d;s/ //g')

say "2 of 6  nginx, as the distribution ships it: nothing confines it yet"
play tests/demo/site.yml
on "${hosts[0]}" 'systemd-analyze security nginx.service --no-pager | tail -1'

say "3 of 6  Roll out policies/nginx.yml: pilot, canary, the rest"
play playbooks/rollout.yml -e policy=nginx -e fleet=lab -e rollout_soak=2 -e "rollout_dir=$PWD/$work/rollouts"
declare -A good
for host in "${hosts[@]}"; do good[$host]=$(digest "$host"); done
on "${hosts[0]}" 'systemd-analyze security nginx.service --no-pager | tail -1'

say "4 of 6  Prove it: every clause read back, every must_allow and must_deny tried from inside"
play playbooks/verify.yml -e policy=nginx -e fleet=lab -e "verify_dir=$PWD/$work/verify" -e "rollout_dir=$PWD/$work/rollouts"

say "5 of 6  A faulty update: version 2.0.0 closes /var/www, 'nobody uses it'"
# shellcheck disable=SC2016
sed -e 's/^version: .*/version: 2.0.0/' -e '/^  read: /s/, \$sites//' policies/nginx.yml >"$work/policies/nginx.yml"
diff policies/nginx.yml "$work/policies/nginx.yml" || true
if play playbooks/rollout.yml -e policy=nginx -e fleet=lab -e rollout_soak=2 -e "rollout_dir=$PWD/$work/rollouts" \
  -e "{\"policies_dirs\": [\"$PWD/$work/policies\"]}"; then
  echo "the faulty update was not caught" >&2
  exit 1
fi
echo "The rollout ended with an error, as it must: the update was caught."

say "6 of 6  Where the hosts are now, by their own files"
wrong=0
for host in "${hosts[@]}"; do
  now=$(digest "$host") status=$(page "$host")
  printf '%-4s generation %.12s  page %s' "$host" "$now" "$status"
  if [ "$now" = "${good[$host]}" ] && [ -n "$now" ] && [ "$status" = 200 ]; then echo "  as before the update"; else echo "  WRONG"; wrong=$((wrong + 1)); fi
done
play playbooks/verify.yml -e policy=nginx -e fleet=lab -e "verify_dir=$PWD/$work/verify" -e "rollout_dir=$PWD/$work/rollouts" >"$work/verify.log" ||
  { tail -40 "$work/verify.log"; wrong=$((wrong + 1)); }

report=$PWD/$work/verify/report.html
echo
echo "Report: $report"
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xdg-open >/dev/null; then xdg-open "$report" >/dev/null 2>&1 & fi
echo "The lab still runs: look around with 'make lab-status', stop it with 'make lab-down'."
printf 'exam road: {"hosts": %d, "wrong": %d, "seconds": %d}\n' "${#hosts[@]}" "$wrong" "$((SECONDS - started))"
exit $((wrong > 0))
