#!/bin/sh
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# What the acts of the verdicts exam are tried on, the exam's three units, and the peer. Can be run again.
# Modes are wide open on purpose: file permissions must not be what denies. Usage: prepare.sh UNIT PLACE [UNIT PLACE]...
set -eu
umask 022
id examuser >/dev/null 2>&1 || useradd -r -M -s /usr/sbin/nologin examuser
open() { mkdir -p "$1" && chmod 0777 "$1" && echo content >"$1/file" && chmod 0666 "$1/file"; }
program() { install -m "$3" "$1" "$2"; }
for folder in /etc/exam/open /usr/local/exam-open /var/lib/exam-open /home/exam /root/exam /run/exam-open /opt/exam/open \
  /opt/exam/hidden /usr/bin/exam-open /srv/exam/hidden /mnt/exam /boot/exam /srv/exam/data/narrow /srv/exam/data/narrow.other \
  /srv/exam/data/denied /srv/exam/data/denied.other /srv/exam/root /srv/exam/alone /srv/exam/data; do
  open "$folder"
done
for file in /etc/exam/file /tmp/exam-outside /dev/shm/exam-outside; do
  echo content >"$file" && chmod 0666 "$file"
done
mkdir -p /etc/ssl/private && chmod 0755 /etc/ssl/private
echo content >/etc/ssl/private/exam.key
for file in /etc/exam/token /etc/exam/of-root; do
  printf 'the token' >"$file" && chmod 0600 "$file"
done
echo content >/srv/exam/root/of-another && chmod 0600 /srv/exam/root/of-another && chown 1:1 /srv/exam/root/of-another
rm -f /srv/exam/*/hang-* /srv/exam/*/go
mkdir -p /opt/exam/bin
program /bin/true /opt/exam/bin/granted 0777
program /bin/true /opt/exam/bin/spawned 0777
program /bin/true /opt/exam/bin/other 0777
program /usr/bin/test /opt/exam/bin/setuid 4777
program /bin/false /usr/local/bin/exam-swapped 0777
program /bin/true /usr/local/bin/exam-swapped.other 0777
program /bin/true /usr/lib/exam-tool 0755
chmod 0777 /opt/exam/witness
# A device that no policy grants and that is safe to open, under a name that file permissions open.
for name in cpu_dma_latency vga_arbiter autofs fuse; do
  minor=$(awk -v name="$name" '$2 == name {print $1}' /proc/misc)
  if [ -n "$minor" ]; then
    for place in /srv/exam/data /srv/exam/root /srv/exam/alone; do
      rm -f "$place/node"
      mknod -m 0666 "$place/node" c 10 "$minor" || true # a container may not: then there is none to open
    done
    break
  fi
done
for address in 10.97.0.1 10.98.0.1 10.99.0.1; do
  ip addr replace "$address/32" dev lo
done
systemctl set-environment EXAM_MANAGER=everywhere
# Processes outside of every sandbox, with the accounts of the units and without capabilities.
for account in root examuser; do
  systemctl is-active -q "exam-outside-$account" ||
    systemd-run -q --unit "exam-outside-$account" -p User=$account -p CapabilityBoundingSet= sleep infinity
done
while [ $# -gt 0 ]; do
  cat >"/etc/systemd/system/$1.service" <<UNIT
[Unit]
Description=Witness of the verdicts exam
[Service]
Type=notify
OOMPolicy=continue
ExecStart=/usr/bin/python3 -B /opt/exam/witness/main.py $2
UNIT
  units="${units-} $1.service"
  shift 2
done
systemctl stop exam-peer.service 2>/dev/null || true
systemctl daemon-reload
systemd-run -q --unit exam-peer --collect /usr/bin/python3 -B /opt/exam/witness/peer.py
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  [ -S /run/memcached/exam.sock ] && break
  sleep 0.5
done
# shellcheck disable=SC2086
systemctl reset-failed $units 2>/dev/null || true
# shellcheck disable=SC2086
systemctl restart $units
