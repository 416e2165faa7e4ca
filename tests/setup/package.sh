#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Build the tarball, install it into an empty path and use it from there by its full names, away from the checkout.
set -eu
work=$PWD/build/package
rm -rf "$work"
mkdir -p "$work/away"
ansible-galaxy collection build --force --output-path "$work" >/dev/null
tarball=$(ls "$work"/bulkhead-fleet-*.tar.gz)
unwanted=$(tar -tzf "$tarball" | grep -E '^build/|(^|/)\.|\.pyc$|__pycache__|\.orig$|\.log$' || true)
[ -z "$unwanted" ] || { echo "the tarball ships: $unwanted" >&2; exit 1; }
unset ANSIBLE_CONFIG
export ANSIBLE_COLLECTIONS_PATH=$work/collections
ansible-galaxy collection install --offline --no-deps -p "$work/collections" "$tarball" >/dev/null
cd "$work/away"
for name in sandbox sandbox_info probe render; do
  ansible-doc -t module "bulkhead.fleet.$name" >/dev/null
done
for system in debian12 debian13 windows2022 macos15; do
  ansible-playbook -i localhost, bulkhead.fleet.render -e policy=nginx -e "system=$system" -e render_dir="$work/rendered" >"$work/$system.log" ||
    { cat "$work/$system.log"; exit 1; }
  ls "$work/rendered/nginx/$system/verdicts.json" >/dev/null
done
ansible-playbook -i localhost, --syntax-check bulkhead.fleet.rollout >/dev/null
files=$(tar -tzf "$tarball" | wc -l)
echo "package: $(basename "$tarball"), $files files, renders for four systems from an empty path"
