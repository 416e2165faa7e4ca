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
# close POLICY arm SECONDS      start the timer that runs the first of these
# close --all                   as userspace starts: whatever no timer will close
set -u
umask 077
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
policy=$1 held=${2:-} why=${3:-its time is over} trouble='' queued=''
[ "$held" != lost ] || queued=--no-block
home=${0%/*}
here=$home/$policy
base=@BASE@
state=$base/$policy
timer=bulkhead-debug-close-$policy.timer

due() { # seconds since boot: no change of the clock moves a deadline
    IFS=' .' read -r now _ </proc/uptime
    deadline=0
    [ ! -s "$here/deadline" ] || read -r deadline <"$here/deadline"
    case $deadline in '' | *[!0-9]*) deadline=0 ;; esac
    [ "$now" -ge "$deadline" ]
}

over() { # a soft reboot and a change of targets may end the timer, while what lies in /run stays
    if [ "$held" = lost ]; then ! systemctl is-active --quiet -- "$timer" 9>&-; else due; fi
}

# shellcheck disable=SC2086  # $queued is one option or none
arm() { # seconds; a timer in monotonic time that PID 1 holds. Its service comes back when somebody kills it
    systemctl $queued stop -- "$timer" 2>/dev/null 9>&-
    systemctl reset-failed -- "$timer" "${timer%.timer}.service" 2>/dev/null 9>&-
    # Status 1 is tried again by the timer and not at once: each try has systemd read all its units again.
    systemd-run --quiet $queued --unit="${timer%.timer}.service" --on-active="$1s" --on-unit-inactive=60s \
        --timer-property=AccuracySec=1s --timer-property=IgnoreOnIsolate=yes -p Type=oneshot -p Restart=on-failure \
        -p RestartSec=2 -p RestartPreventExitStatus=1 -p StartLimitIntervalSec=0 /bin/sh "$0" "$policy" 9>&-
}

runs() { # the run of the unit that goes on, by its number at systemd; nothing where none does
    shown=$(systemctl show -p ActiveState,InvocationID -- "$unit" 9>&-) || return 1
    case $shown in
    *ActiveState=inactive* | *ActiveState=failed*) ;;
    *) printf '%s\n' "$shown" | sed -n 's/^InvocationID=//p' ;;
    esac
}

receipt() { # event
    log=$state/receipts.jsonl previous=0000000000000000000000000000000000000000000000000000000000000000
    [ -f "$log" ] || return 0
    [ ! -s "$log" ] || [ "$(tail -c 1 "$log" | wc -l)" -eq 1 ] || echo >>"$log"
    if [ -s "$log" ]; then previous=$(tail -n 1 "$log" | sha256sum); fi
    read -r booted </proc/sys/kernel/random/boot_id
    line="{\"time\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\", \"event\": \"$1\", \"boot_id\": \"$booted\", "
    line="$line\"why\": \"$why\", \"detail\": \"$trouble\", \"previous\": \"${previous%% *}\", "
    sum=$(printf %s "$line" | sha256sum)
    printf '%s"sum": "%s"}\n' "$line" "${sum%% *}" >>"$log"
    sync "$log"
}

stuck() { # why: it stays open, as state.json and every report go on saying, and the timer tries again
    if [ "$(cat "$here/trouble" 2>/dev/null)" != "$1" ]; then
        printf '%s\n' "$1" >"$here/trouble"
        trouble=$1
        if [ "$locked" = locked ]; then receipt DEBUG_STUCK; fi
    fi
    printf 'bulkhead: debug overlay of %s is not closed: %s\n' "$policy" "$1" >&2
    exit 1
}

if [ "$policy" = --all ]; then
    for here in "$home"/*/; do
        here=${here%/}
        [ ! -e "$here/state.json" ] || sh "$0" "${here##*/}" lost "its timer was gone"
    done
    exit 0
elif [ "$held" = arm ]; then
    arm "$why"
    exit
fi
[ -d "$here" ] || exit 0
locked=$held
if [ "$held" != locked ]; then
    over || exit 0
    if [ -d "$state" ]; then
        exec 9>>"$state/lock"
        # Somebody who holds the lock for long does not keep a sandbox open: only the receipt waits for it.
        flock -w 30 9 && locked=locked
        [ -d "$here" ] || exit 0
        over || exit 0
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
if [ -s "$here/profile" ] && read -r profile <"$here/profile" && { [ -e "$profile" ] || [ -d "$state" ]; }; then
    if [ ! -e "$profile" ]; then
        profile=$here/own trouble="the file of its AppArmor profile is gone, a copy was loaded; "
    fi
    apparmor_parser -K -r "$profile" 9>&- || stuck "the AppArmor profile is still loaded as it was opened"
fi
systemctl daemon-reload 9>&- || exit 1
if [ -e "$here/restart" ]; then
    before=$(runs) || exit 1
    if [ "$held" != lost ]; then
        systemctl try-restart -- "$unit" 9>&- || trouble="${trouble}the application did not start again"
        after=$(runs) || exit 1
        # A job that systemd refuses (masked, a file that is gone or wrong, what it requires) lets the old process run.
        [ -z "$before" ] || [ "$after" != "$before" ] ||
            stuck "systemd did not restart the application: its process still runs as it was opened"
    elif [ -n "$before" ]; then
        # Userspace is starting and waits for us: a restart, which may wait for that in turn, is the timer's.
        echo 0 >"$here/deadline"
        arm 1 || stuck "its timer does not start"
        exit 0
    fi
fi
trouble=${trouble%; }
if [ -s "$here/cores" ]; then
    read -r cores <"$here/cores"
    chown root:root "$cores" && chmod 0700 "$cores"
    rmdir -- "$cores" "${cores%/*}" 2>/dev/null
fi
if [ "$locked" = locked ] || [ ! -d "$state" ] || flock -w 300 9; then receipt DEBUG_CLOSED; fi
# Whoever opens writes first and looks for the state then: one of us two sees the other, however slow the host is.
rm -f -- "$here/state.json" "$here/trouble"
while read -r path; do
    if [ -e "$path" ]; then exec sh "$0" "$policy" "$held" "$why"; fi
done <"$here/files"
printf 'bulkhead: debug overlay of %s is closed, %s %s\n' "$policy" "$why" "$trouble" >&2
rm -rf -- "$here"
set -- "$home"/*/
if [ ! -d "$1" ]; then rm -f "$home/close" && rmdir -- "$home" "${home%/*}" 2>/dev/null; fi
systemctl stop --no-block -- "$timer" 2>/dev/null 9>&-
exit 0
"""
