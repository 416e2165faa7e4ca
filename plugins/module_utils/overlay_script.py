# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The closer of a debug overlay: a POSIX shell program, started by a timer of systemd, without Python or network.

It is text in a Python file because only Python files travel with a module. The unit tests run shellcheck on it.
"""

from __future__ import annotations

SCRIPT = r"""#!/bin/sh
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# close POLICY                  when its time is over; takes the policy's lock
# close POLICY locked WHY       now; the caller holds the lock
set -u
umask 077
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
policy=$1 held=${2:-} why=${3:-its time is over} trouble=''
home=${0%/*}
here=$home/$policy
base=@BASE@
state=$base/$policy

due() { # seconds since boot: no change of the clock moves a deadline
    IFS=' .' read -r now _ </proc/uptime
    deadline=0
    [ ! -s "$here/deadline" ] || read -r deadline <"$here/deadline"
    case $deadline in '' | *[!0-9]*) deadline=0 ;; esac
    [ "$now" -ge "$deadline" ]
}

receipt() {
    log=$state/receipts.jsonl previous=0000000000000000000000000000000000000000000000000000000000000000
    [ -f "$log" ] || return 0
    [ ! -s "$log" ] || [ "$(tail -c 1 "$log" | wc -l)" -eq 1 ] || echo >>"$log"
    if [ -s "$log" ]; then previous=$(tail -n 1 "$log" | sha256sum); fi
    read -r booted </proc/sys/kernel/random/boot_id
    line="{\"time\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\", \"event\": \"DEBUG_CLOSED\", \"boot_id\": \"$booted\", "
    line="$line\"why\": \"$why\", \"detail\": \"$trouble\", \"previous\": \"${previous%% *}\", "
    sum=$(printf %s "$line" | sha256sum)
    printf '%s"sum": "%s"}\n' "$line" "${sum%% *}" >>"$log"
    sync "$log"
}

[ -d "$here" ] || exit 0
locked=$held
if [ "$held" != locked ]; then
    due || exit 0
    if [ -d "$state" ]; then
        exec 9>>"$state/lock"
        # Somebody who holds the lock for long does not keep a sandbox open: only the receipt waits for it.
        flock -w 30 9 && locked=locked
        [ -d "$here" ] || exit 0
        due || exit 0
    fi
fi
unit=$(cat "$here/unit")
if [ -s "$here/shell" ]; then
    systemctl stop -- "$(cat "$here/shell")" 2>/dev/null 9>&-
fi
while read -r path; do
    rm -f -- "$path" || exit 1
    rmdir -- "${path%/*}" 2>/dev/null
done <"$here/files"
# The policy's own profile takes the place of the opened one, for what runs too. Where the policy is gone so is it.
if [ -s "$here/profile" ] && read -r profile <"$here/profile" && [ -e "$profile" ]; then
    apparmor_parser -K -r "$profile" 9>&- || exit 1
fi
systemctl daemon-reload 9>&- || exit 1
if [ -e "$here/restart" ]; then
    systemctl try-restart -- "$unit" 9>&- || trouble="the application did not start again"
fi
if [ -s "$here/cores" ]; then
    read -r cores <"$here/cores"
    chown root:root "$cores" && chmod 0700 "$cores"
    rmdir -- "$cores" "${cores%/*}" 2>/dev/null
fi
if [ "$locked" = locked ] || [ ! -d "$state" ] || flock -w 300 9; then receipt; fi
# Whoever opens writes first and looks for the state then: one of us two sees the other, however slow the host is.
rm -f -- "$here/state.json"
while read -r path; do
    if [ -e "$path" ]; then exec sh "$0" "$policy" "$held" "$why"; fi
done <"$here/files"
printf 'bulkhead: debug overlay of %s is closed, %s %s\n' "$policy" "$why" "$trouble" >&2
rm -rf -- "$here"
set -- "$home"/*/
if [ ! -d "$1" ]; then rm -f "$home/close" && rmdir -- "$home" "${home%/*}" 2>/dev/null; fi
systemctl stop --no-block -- "bulkhead-debug-close-$policy.timer" 2>/dev/null 9>&-
exit 0
"""
