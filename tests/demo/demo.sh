#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# The whole road on a lab fleet: confine nginx in stages, push a faulty update, see it caught and rolled back, prove what holds.
# Every claim at the end is read from the hosts' own files and from the web servers, not from our reports.
set -eu
inventory=${LAB_DIR:-build/lab}/inventory.yml
work=$PWD/build/demo
started=$SECONDS

say() { printf '\n\033[1m== [%3d s] %s\033[0m\n' "$((SECONDS - started))" "$*"; }
play() { ansible-playbook -i "$inventory" -e fleet=lab -e policy=nginx -e "rollout_dir=$work/rollouts" -e "verify_dir=$work/verify" "$@"; }
# A canary for each kind of system, then all the others at once.
rollout() { play playbooks/rollout.yml -e rollout_soak=1 -e rollout_pilot=0 -e '{"rollout_waves": [100]}' "$@"; }
# on HOST COMMAND...: one command on a lab host over ssh, past everything of ours; by Ansible's connection while that is up
on() { ssh -F "${inventory%/*}/ssh_config" -o ControlPath="${inventory%/*}/cp/root@$1" "$@" </dev/null; }
digest() { on "$1" cat /var/lib/bulkhead/nginx/active; }
# facts HOST: the generation, the page's status, and how often the faulty generation was switched on there, by its receipts
facts() {
  on "$1" "cat /var/lib/bulkhead/nginx/active; curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1/healthz
    grep -c '\"APPLYING\".*\"rollout\": *\"$faulty\"' /var/lib/bulkhead/nginx/receipts.jsonl || true"
}

# Each host is an emulated processor where KVM does not run: more hosts than cores would only wait for each other.
HOSTS=${HOSTS:-$(($(nproc) > 2 ? 3 : 2))}

rm -rf "$work/policies" "$work/verify"
mkdir -p "$work/policies"

say "1 of 6  A lab fleet of $HOSTS real hosts"
make --no-print-directory lab-up HOSTS="$HOSTS" SUITES="${SUITES:-bookworm}"
mapfile -t hosts < <(ansible -i "$inventory" lab --list-hosts | sed '1d;s/ //g')

say "2 of 6  nginx, as the distribution ships it"
play tests/demo/site.yml
echo "${hosts[0]}  $(on "${hosts[0]}" systemd-analyze security nginx.service --no-pager | tail -1)"

say "3 of 6  Roll out policies/nginx.yml: a canary for each kind of system, then the rest"
rollout
declare -A good
for host in "${hosts[@]}"; do
  good[$host]=$(digest "$host")
done
echo "${hosts[0]}  $(on "${hosts[0]}" systemd-analyze security nginx.service --no-pager | tail -1)"

say "4 of 6  A faulty update: version 2.0.0 closes /var/www, 'nobody uses it'"
# shellcheck disable=SC2016
sed -e 's/^version: .*/version: 2.0.0/' -e '/^  read: /s/, \$sites//' policies/nginx.yml >"$work/policies/nginx.yml"
diff policies/nginx.yml "$work/policies/nginx.yml" || true
if rollout -e "{\"policies_dirs\": [\"$work/policies\"]}"; then
  echo "the faulty update was not caught" >&2
  exit 1
fi
echo "The rollout ended with an error, as it must: the update was caught."

say "5 of 6  Prove what holds now: every clause read back, every must_allow and must_deny tried from inside"
wrong=0
play playbooks/verify.yml || wrong=$((wrong + 1))

say "6 of 6  Where the hosts are, by their own files"
faulty=$(basename "$(find "$work/rollouts" -mindepth 1 -maxdepth 1 -type d | sort | tail -1)")
mapfile -t canaries < <(python3 -c 'import json, sys; print(*[h for w in json.load(open(sys.argv[1]))["plan"]["waves"] if w["name"] == "canary" for h in w["hosts"]], sep="\n")' "$work/rollouts/$faulty/plan.json")
reached=()
for host in "${hosts[@]}"; do
  { read -r now; read -r status; read -r times; } < <(facts "$host")
  printf '%-4s generation %.12s  page %s  faulty update applied %s times' "$host" "$now" "$status" "$times"
  [ "$times" = 0 ] || reached+=("$host")
  if [ "$now" = "${good[$host]}" ] && [ -n "$now" ] && [ "$status" = 200 ]; then echo "  as before the update"; else echo "  WRONG"; wrong=$((wrong + 1)); fi
done
if [ "${reached[*]}" != "${canaries[*]}" ]; then
  echo "the faulty update reached ${reached[*]}, the canaries are ${canaries[*]}" >&2
  wrong=$((wrong + 1))
fi

report=$work/verify/report.html
echo
echo "Report: $report"
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xdg-open >/dev/null; then xdg-open "$report" >/dev/null 2>&1 & fi
echo "The lab still runs: look around with 'make lab-status', stop it with 'make lab-down'."
printf 'exam demo: {"hosts": %d, "canaries": %d, "reached_by_the_faulty_update": %d, "wrong": %d, "seconds": %d}\n' \
  "${#hosts[@]}" "${#canaries[@]}" "${#reached[@]}" "$wrong" "$((SECONDS - started))"
exit $((wrong > 0))
