# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh disable=SC2154  # name, address, mac, machine_id, seed, host_key, public_key are set above
# Makes a resumed clone a host of its own. Its random generator still has the template's state, so that two
# clones would draw the same keys: RNDRESEEDCRNG (0x5207, random(4)) makes the kernel use the new seed at once.
set -eu
printf %s "$seed" >/dev/urandom
perl -e 'open F, "+<", "/dev/urandom" or die; ioctl(F, 0x5207, 0) or die'
ip link set eth1 down
ip link set eth1 address "$mac"
ip addr replace "$address" dev eth1
ip link set eth1 up
hostname "$name"
echo "$name" >/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
echo "$machine_id" >/etc/machine-id
umask 077
printf '%s\n' "$host_key" >/etc/ssh/ssh_host_ed25519_key
umask 022
printf '%s\n' "$public_key" >/etc/ssh/ssh_host_ed25519_key.pub
kill -HUP "$(cat /run/sshd.pid)"
# The journal keeps the machine id that it read at boot. So does init, for %m in units; telling it (daemon-reexec)
# costs 16 s of emulation on Debian 13, more than everything else here, and the first reboot does it anyway.
systemctl restart systemd-journald
rm -rf /run/log/journal/00000000000000000000000000001ab0
sync
