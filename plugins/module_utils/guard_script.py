# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: a POSIX shell program that puts the generation before back, without Python, network or controller.

It is text in a Python file because only Python files travel with a module. The unit tests run shellcheck on it.
"""

from __future__ import annotations

SCRIPT = r"""#!/bin/sh
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# guard wait POLICY           until the pending change is confirmed, else put the generation before back
# guard revert POLICY NONCE   now; the caller holds the lock
# guard rehearse POLICY       could it be put back? Changes nothing
# guard recover               at boot, before basic.target: whatever is still pending was cut off
set -u
umask 077
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
base=${0%/*}
zero=0000000000000000000000000000000000000000000000000000000000000000
kernel=/sys/kernel/security/apparmor
queued=

say() { printf 'bulkhead: %s\n' "$*" >&2; }

value_of() { # word of a JSON line, without comma and quotes
    value=${1%,} value=${value#\"} value=${value%\"}
}

# Built-in commands only: this runs every two seconds while a change is pending.
# shellcheck disable=SC2094  # the file is only read
read_pending() {
    nonce='' from='' to='' phase='' deadline=0 boot=''
    read -r booted </proc/sys/kernel/random/boot_id
    IFS=' .' read -r now _ </proc/uptime # seconds since boot: no change of the clock moves a deadline
    while [ -f "$pending" ] && read -r key word; do
        value_of "$word"
        case $key in
        '"nonce":') nonce=$value ;;
        '"from":') from=$value ;;
        '"to":') to=$value ;;
        '"phase":') phase=$value ;;
        '"boot_id":') boot=$value ;;
        '"deadline":') deadline=$value ;;
        esac
    done <"$pending" 2>/dev/null
    case $deadline in '' | *[!0-9]*) deadline=0 ;; esac
    # A torn file names nothing: then what is installed goes and what was confirmed last returns.
    if [ -z "$nonce" ] && [ -f "$pending" ]; then
        to=$(cat "$state/active" 2>/dev/null)
        from=$(sed -n 's/^ *"to": "\([0-9a-f]*\)".*/\1/p' "$state/confirmed.json" 2>/dev/null)
    fi
    old=$state/generations/${from:-none} new=$state/generations/${to:-none}
}

use() {
    state=$base/$1 pending=$base/$1/pending.json
    [ -f "$pending" ] || exit 0
    read_pending
}

receipt() { # event detail
    log=$state/receipts.jsonl previous=$zero
    if [ -s "$log" ] && [ -n "$(tail -c 1 "$log")" ]; then sed -i '$d' "$log"; fi
    if [ -s "$log" ]; then previous=$(tail -n 1 "$log" | sha256sum); fi
    {
        printf '{"time": "%s", "event": "%s", "boot_id": "%s", ' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$booted"
        printf '"from": "%s", "to": "%s", "nonce": "%s", ' "$from" "$to" "$nonce"
        printf '"detail": "%s", "previous": "%s"}\n' "$2" "${previous%% *}"
    } >>"$log"
    sync "$log"
}

sum_of() { # file
    sum=$(sha256sum <"$1" 2>/dev/null) || sum=
    sum=${sum%% *}
}

whole() { # generation: every file has the checksum that its manifest names
    [ -f "$1/manifest" ] || return 1
    while read -r want _ _ _ _ number _; do
        sum_of "$1/files/$number"
        [ "$sum" = "$want" ] || return 1
    done <"$1/manifest"
}

# A directory keeps its own time while we put things back: footprint.py goes by it.
keeping_time() { # directory command...
    directory=$1
    shift
    touch -r "$directory" "$state/stamp" && "$@" && sync "$directory" && touch -r "$state/stamp" "$directory" &&
        rm -f "$state/stamp"
}

put() { # number mode owner group path
    temporary=${5%/*}/.${5##*/}.bulkhead
    cp "$old/files/$1" "$temporary" && chown "$3:$4" "$temporary" && chmod "$2" "$temporary" &&
        sync "$temporary" && mv -f "$temporary" "$5"
}

put_all() {
    [ -n "$from" ] || return 0
    while read -r want mode owner group _ number path; do
        sum_of "$path"
        [ "$sum" = "$want" ] && [ "$(stat -c '%04a %U %G' "$path")" = "$mode $owner $group" ] && continue
        if [ ! -d "${path%/*}" ]; then (umask 022 && mkdir -p "${path%/*}") || return 1; fi
        keeping_time "${path%/*}" put "$number" "$mode" "$owner" "$group" "$path" || return 1
    done <"$old/manifest"
}

paths_of() { # generation kind ("" for all)
    [ -f "$1/manifest" ] && sed -n "s,^[^ ]* [^ ]* [^ ]* [^ ]* ${2:-[^ ]*} [^ ]* /,/,p" "$1/manifest"
}

only_new() { # kind: paths of the new generation that the old one does not have
    paths_of "$new" "$1" | while read -r path; do
        paths_of "$old" '' | grep -qxF -- "$path" || printf '%s\n' "$path"
    done
}

remove_new() { # kind
    only_new "$1" | while read -r path; do
        [ ! -e "$path" ] || keeping_time "${path%/*}" rm -f "$path" "${path%/*}/.${path##*/}.bulkhead" || exit 1
    done
}

# Nothing runs under it any more. What the distribution's own service compiled of it goes as well.
unload_new() {
    only_new apparmor | while read -r path; do
        profile=${path##*/}
        if grep -q "^$profile (" "$kernel/profiles" 2>/dev/null; then printf %s "$profile" >"$kernel/.remove"; fi
        rm -f "/var/cache/apparmor/$profile" "/var/cache/apparmor/"*"/$profile"
    done
}

control() { # systemctl command, file with one unit a line
    [ -s "$2" ] || return 0
    # shellcheck disable=SC2046,SC2086  # unit names have no spaces, and $queued is one option or none
    systemctl $queued "$1" -- $(cat "$2") 9>&-
}

# The application lets go of our units before they stop, or stopping them would stop it too.
switch_back() {
    put_all && remove_new systemd_dropin && systemctl daemon-reload 9>&- || return 1
    if [ -n "$from" ]; then
        # A slice cannot reload, and restarting it would stop what runs in it: it only starts.
        # What runs may be a unit of the new generation that the old one's reload does not fit: then it starts anew.
        control start "$old/start" &&
            { control reload-or-restart "$old/reload" || control restart "$old/reload"; } || trouble="our units;"
    fi
    if [ -z "$queued" ]; then
        control reset-failed "$state/restart" 2>/dev/null
        control restart "$state/restart" || trouble="$trouble the application;"
        # Somebody may have started it since: what runs in a slice of ours would stop with the slice.
        read -r unit <"$new/unit"
        case $from$(systemctl show -p ControlGroup -- "$unit") in
        ControlGroup=/bulkhead.slice/*) systemctl restart -- "$unit" 9>&- ;;
        esac
    fi
    only_new systemd_unit | sed 's,.*/,,' >"$state/stop"
    control stop "$state/stop"
    remove_new '' || return 1
    unload_new
    while read -r directory_made; do
        keeping_time "${directory_made%/*}" rmdir "$directory_made" 2>/dev/null
    done <"$base/made"
    # Only units that went are news to systemd now: all else it was told above.
    if [ -s "$state/stop" ]; then systemctl daemon-reload 9>&- || return 1; fi
    rm -f "$state/stop" "$state/stamp"
}

revert() { # nonce; the lock is held
    [ -f "$pending" ] && [ "$nonce" = "$1" ] || return 0
    trouble='' event=REVERTED
    if [ "$(cat "$state/active" 2>/dev/null)" != "$to" ]; then
        event=ABANDONED # nothing was switched yet
    elif [ -n "$from" ] && ! whole "$old"; then
        trouble="the generation before is damaged;"
    else
        switch_back || trouble="$trouble its files;"
        if [ -n "$from" ]; then
            printf '%s\n' "$from" >"$state/active.new" && sync "$state/active.new" &&
                mv -f "$state/active.new" "$state/active"
        else
            rm -f "$state/active"
        fi
    fi
    [ -z "$trouble" ] || event=REVERT_FAILED
    mv -f "$pending" "$state/reverted.json"
    rm -f "$state/restart"
    sync "$state"
    receipt "$event" "${trouble% ;}"
    say "${state##*/}: $event $trouble"
    [ -z "$trouble" ]
}

# Whoever still holds the lock past the deadline hangs: it is ended, it must not keep the host from returning.
lock() {
    exec 9>>"$state/lock"
    if ! flock -w 20 9; then
        # The number may be an old one: only a process that has the lock open is meant.
        read -r holder <"$state/lock"
        case $(readlink /proc/"${holder:-none}"/fd/*) in *"$state/lock"*) kill -KILL "$holder" ;; esac
        flock -w 20 9 || exit 1
    fi
    echo $$ >"$state/lock"
    read_pending
}

wait_for() {
    mine=$nonce
    while [ -f "$pending" ] && [ "$nonce" = "$mine" ] && [ "$boot" = "$booted" ] && [ "$deadline" -gt "$now" ]; do
        # Who applies holds the lock until the change is switched and healthy: a free lock means that it died.
        if [ "$phase" = applying ] && flock -n "$state/lock" true; then break; fi
        if [ $((deadline - now)) -gt 2 ]; then sleep 2; else sleep 1; fi
        read_pending
    done
    lock
    # While we waited for the lock the change may have got its time to be confirmed: begin again (Restart=).
    if [ "$phase" = pending ] && [ "$boot" = "$booted" ] && [ "$deadline" -gt "$now" ]; then exit 75; fi
    revert "$mine"
}

case ${1:-} in
wait) use "$2" && wait_for ;;
revert) use "$2" && revert "$3" ;;
rehearse) use "$2" && [ -n "$nonce" ] && whole "$new" && { [ -z "$from" ] || whole "$old"; } ;;
recover)
    for marker in "$base"/*/pending.json; do
        marker=${marker%/pending.json}
        sh "$0" recover-one "${marker##*/}"
    done
    ;;
recover-one)
    queued=--no-block
    use "$2"
    if [ "$boot" = "$booted" ]; then
        systemctl --no-block start "bulkhead-guard@$2.service"
    else
        lock && revert "$nonce"
    fi
    ;;
*) say "usage: guard wait|revert|rehearse|recover" && exit 64 ;;
esac
"""
