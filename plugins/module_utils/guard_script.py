# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: a POSIX shell program that puts the generation before back. It needs no Python, network or controller.

It is text in a Python file because only Python files travel with a module. tests/unit runs shellcheck on it.
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
booting=

say() { printf 'bulkhead: %s\n' "$*" >&2; }

# The value of one key of pending.json, which has one key a line.
field() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$state/pending.json" 2>/dev/null | head -n 1; }

use() {
    state=$base/$1
    [ -d "$state" ] || exit 0
}

read_pending() {
    nonce=$(field nonce) from=$(field from) to=$(field to) phase=$(field phase)
    deadline=$(field deadline) boot=$(field boot_id)
    case $deadline in '' | *[!0-9]*) deadline=0 ;; esac
    # A torn file names nothing: then the installed generation goes and the last confirmed one returns.
    if [ -z "$nonce" ]; then
        to=$(cat "$state/active" 2>/dev/null)
        from=$(sed -n 's/^ *"to": "\([0-9a-f]*\)".*/\1/p' "$state/confirmed.json" 2>/dev/null)
    fi
    old=$state/generations/${from:-none} new=$state/generations/${to:-none}
}

receipt() { # event, detail
    log=$state/receipts.jsonl
    if [ -s "$log" ] && [ -n "$(tail -c 1 "$log")" ]; then sed -i '$d' "$log"; fi
    previous=$zero
    if [ -s "$log" ]; then
        previous=$(tail -n 1 "$log" | sha256sum)
        previous=${previous%% *}
    fi
    printf '{"time": "%s", "event": "%s", "from": "%s", "to": "%s", "nonce": "%s", "boot_id": "%s", "detail": "%s", "previous": "%s"}\n' \
        "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$from" "$to" "$nonce" "$(cat /proc/sys/kernel/random/boot_id)" "$2" "$previous" >>"$log"
    sync "$log"
}

sum_of() {
    sum=$(sha256sum <"$1" 2>/dev/null) || sum=
    printf '%s' "${sum%% *}"
}

whole() { # generation directory: every file has the checksum that its manifest names
    [ -f "$1/manifest" ] || return 1
    while read -r want _ _ _ _ number _; do
        [ "$(sum_of "$1/files/$number")" = "$want" ] || return 1
    done <"$1/manifest"
}

# Run a change below a directory and leave the directory's own time as it was: footprint.py goes by it.
keeping_time() { # directory, command...
    touch -r "$1" "$state/stamp"
    directory=$1
    shift
    "$@"
    result=$?
    sync "$directory"
    touch -r "$state/stamp" "$directory"
    rm -f "$state/stamp"
    return $result
}

put() { # number mode owner group path
    temporary=${5%/*}/.${5##*/}.bulkhead
    cp "$old/files/$1" "$temporary" && chown "$3:$4" "$temporary" && chmod "$2" "$temporary" &&
        sync "$temporary" && mv -f "$temporary" "$5"
}

put_all() {
    [ -n "$from" ] || return 0
    while read -r want mode owner group _ number path; do
        [ "$(sum_of "$path")" = "$want" ] && [ "$(stat -c '%04a %U %G' "$path")" = "$mode $owner $group" ] && continue
        [ -d "${path%/*}" ] || mkdir -p -m 0755 "${path%/*}" || return 1
        keeping_time "${path%/*}" put "$number" "$mode" "$owner" "$group" "$path" || return 1
    done <"$old/manifest"
}

remove_new() { # kind or "all": files that only the new generation has
    while read -r _ _ _ _ kind _ path; do
        if [ "$1" != all ] && [ "$1" != "$kind" ]; then continue; fi
        if [ -n "$from" ] && grep -qF " $path" "$old/manifest"; then continue; fi
        [ -e "$path" ] || continue
        keeping_time "${path%/*}" rm -f "$path" "${path%/*}/.${path##*/}.bulkhead" || return 1
    done <"$new/manifest"
}

own_units() { # generation directory: names of the unit files that we made
    sed -n 's,^[^ ]* [^ ]* [^ ]* [^ ]* systemd_unit [^ ]* .*/,,p' "$1/manifest" 2>/dev/null
}

# The application lets go of our units before they stop, or stopping them would stop it too.
switch_back() {
    put_all || { say "cannot restore the files of $state"; return 1; }
    remove_new systemd_dropin || return 1
    systemctl daemon-reload 9>&- || return 1
    if [ -n "$from" ]; then
        while read -r unit; do
            # shellcheck disable=SC2086
            systemctl $booting reload-or-restart -- "$unit" 9>&- || trouble="$trouble $unit"
        done <"$old/start"
    fi
    if [ -z "$booting" ] && [ -f "$state/restart" ]; then
        while read -r unit; do
            systemctl reset-failed -- "$unit" 9>&- 2>/dev/null
            systemctl restart -- "$unit" 9>&- || trouble="$trouble $unit"
        done <"$state/restart"
    fi
    own_units "$new" | while read -r unit; do
        if [ -n "$from" ] && own_units "$old" | grep -qxF "$unit"; then continue; fi
        # shellcheck disable=SC2086
        systemctl $booting stop -- "$unit" 9>&-
    done
    remove_new all && systemctl daemon-reload 9>&-
}

revert() { # nonce; the lock is held
    [ -f "$state/pending.json" ] || return 0
    read_pending
    [ "$nonce" = "$1" ] || return 0
    trouble=
    event=REVERTED
    if [ "$(cat "$state/active" 2>/dev/null)" != "$to" ]; then
        event=ABANDONED # nothing was switched yet
    elif [ -n "$from" ] && ! whole "$old"; then
        event=REVERT_FAILED trouble=" generation-before-is-damaged"
    else
        switch_back || event=REVERT_FAILED
        if [ -n "$from" ]; then
            printf '%s\n' "$from" >"$state/active.new" && sync "$state/active.new" && mv -f "$state/active.new" "$state/active"
        else
            rm -f "$state/active"
        fi
    fi
    [ -z "$trouble" ] || event=REVERT_FAILED
    mv -f "$state/pending.json" "$state/reverted.json"
    rm -f "$state/restart"
    sync "$state"
    receipt "$event" "${trouble# }"
    say "${state##*/}: $event (${trouble# })"
    [ "$event" != REVERT_FAILED ]
}

# A holder that still has the lock past the deadline hangs: it is ended, it must not keep the host from returning.
lock() {
    exec 9>>"$state/lock"
    flock -w 20 9 && return 0
    read -r holder <"$state/lock" && kill -KILL "$holder"
    flock -w 20 9
}

wait_for() {
    read_pending
    mine=$nonce
    while [ -f "$state/pending.json" ] && [ "$nonce" = "$mine" ]; do
        # Seconds since boot, so that no change of the clock moves the deadline.
        IFS=' .' read -r now _ </proc/uptime
        left=$((deadline - now))
        if [ "$left" -le 0 ] || [ "$boot" != "$(cat /proc/sys/kernel/random/boot_id)" ]; then break; fi
        # Whoever applies holds the lock until the change is switched and healthy: a free lock means it died.
        if [ "$phase" = applying ] && flock -n "$state/lock" true && [ "$(field phase)" = applying ]; then break; fi
        if [ "$left" -gt 2 ]; then left=2; fi
        sleep "$left"
        read_pending
    done
    lock || exit 1
    [ -f "$state/pending.json" ] || return 0
    read_pending
    IFS=' .' read -r now _ </proc/uptime
    # Confirmed and begun anew, or the deadline moved, while we waited for the lock: the next start waits for that.
    if [ "$nonce" != "$mine" ] || { [ "$phase" = pending ] && [ "$deadline" -gt "$now" ]; }; then exit 75; fi
    revert "$mine"
}

case ${1:-} in
wait)
    use "$2"
    wait_for
    ;;
revert)
    use "$2"
    revert "$3"
    ;;
rehearse)
    use "$2"
    read_pending
    [ -n "$nonce" ] && [ -f "$new/manifest" ] && { [ -z "$from" ] || whole "$old"; }
    ;;
recover)
    booting=--no-block
    for pending in "$base"/*/pending.json; do
        [ -f "$pending" ] || continue
        pending=${pending%/pending.json}
        use "${pending##*/}"
        read_pending
        if [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ]; then
            systemctl --no-block start "bulkhead-guard@${state##*/}.service"
        else
            lock && revert "$nonce"
        fi
    done
    ;;
*)
    say "usage: guard wait|revert|rehearse|recover"
    exit 64
    ;;
esac
"""
