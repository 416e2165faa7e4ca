#!/usr/bin/env bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# nspawn_host.sh NAME FOLDER TREE TAG CGROUPS: one nspawn host, in the foreground. Started by "unshare --mount":
# every mount below is seen by this host alone and goes with its last process. PID 1 need not be systemd.
set -eu
name=$1 folder=$2 tree=$3 tag=$4 cgroups=$5

mount --make-rprivate /
echo $$ >"$cgroups/$tag/$name/cgroup.procs"
# a cgroup2 mount of its own, also where the machine still has cgroup1 beside it
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# systemd-nspawn leaves locks and mount points there
mkdir -p /run/systemd
mount -t tmpfs -o mode=755 tmpfs /run/systemd
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"

# The kernel is this machine's own: what nspawn grants by default, what nftables and systemd's BPF programs need,
# and never the clock, modules or raw devices.
grants=CAP_NET_ADMIN,CAP_BPF,CAP_PERFMON
drops=CAP_SYS_TIME,CAP_SYS_MODULE,CAP_SYS_RAWIO,CAP_WAKE_ALARM
while :; do
  status=0
  systemd-nspawn --quiet --directory="$folder/root" --machine="$tag-$name" --boot --register=no --keep-unit \
    --network-namespace-path="/run/netns/$tag-$name" --capability="$grants" --drop-capability="$drops" \
    --system-call-filter=bpf --console=pipe --resolv-conf=off --timezone=off --link-journal=no || status=$?
  # with --keep-unit a guest's reboot is left to whoever started nspawn, and 133 asks for it
  [ "$status" = 133 ] || exit "$status"
  # the namespace outlives the reboot; the rules of a real machine would not
  nsenter --net="/run/netns/$tag-$name" nft flush ruleset || true
done
