# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: a POSIX shell program that puts the generation before back, without Python, network or controller.

It is text in a Python file because only Python files travel with a module. What it decides stands in ``machine.py``
(events look, act, revert, stuck); the tests hold both to one table, and run shellcheck on it.
"""

from __future__ import annotations

SCRIPT = r"""#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# guard wait POLICY           until the pending change is confirmed, else put the generation before back
# guard revert POLICY NONCE   now; the caller holds the lock
# guard rehearse POLICY       could it be put back? Changes nothing
# guard recover               at boot, before basic.target: whatever is still pending was cut off
set -u && umask 077
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
base=${0%/*} kernel=/sys/kernel/security/apparmor queued='' trouble=''
use() { state=$1 pending=$1/pending.json reverting=$1/reverting.json back=$1/back; }
again() { exit 75; } # systemd starts the guard once more
in_time() { [ "$boot" = "$booted" ] && [ "$deadline" -gt "$now" ]; }
unlocked() { [ ! -e "$state/lock" ] || flock -n "$state/lock" true; }
way() { sed -n "s/^$1 //p" "$back"; } # the way back, which the module laid down before it changed anything
move() { mv -f "$1" "$2" && sync "$state"; }
place() { sync "$1" && mv -f "$1" "$2" && sync "${2%/*}"; } # whole on the disk before it takes another's place
reload_manager() { trouble=daemon-reload && systemctl daemon-reload 9>&-; }

sealed() { # file, what its first line has before and after the sum of all the others
    IFS= read -r first && sum=$(sha256sum) && [ "$first" = "$2${sum%% *}${3:-}" ]
} 2>/dev/null <"$1"
whole() { # generation ("" for none): all files are to the byte what was written
    [ -z "$1" ] || { cd "$state/generations/$1" && sealed sums "sum " && sed 1d sums | sha256sum -c --strict --status; }
}

read_pending() {
    phase=idle boot='' deadline=0 lapse='' nonce=''
    read -r booted </proc/sys/kernel/random/boot_id
    IFS=' .' read -r now _ </proc/uptime # seconds since boot: no change of the clock moves a deadline
    if [ -f "$reverting" ]; then
        phase=reverting nonce=$(way nonce)
    elif [ -f "$pending" ] && sealed "$pending" '{"sum": "' '",'; then
        # shellcheck disable=SC2046  # one word each, in the order of their names
        set -- $(sed -nE 's/^ "(boot_id|deadline|lapse|nonce|phase)": "?([^",]+).*/\2/p' "$pending")
        [ $# -ne 5 ] || { boot=$1 deadline=$2 lapse=$3 nonce=$4 phase=$5; } # none: confirmed meanwhile
    elif [ -f "$pending" ]; then
        phase=torn nonce=$(way nonce)
    fi
}

receipt() { # event detail
    log=$state/receipts.jsonl previous=$(printf %064d 0)
    [ ! -s "$log" ] || [ "$(tail -c 1 "$log" | wc -l)" -eq 1 ] || echo >>"$log" # torn by a power cut: stays as it is
    [ ! -s "$log" ] || previous=$(tail -n 1 "$log" | sha256sum)
    line="{\"time\": \"$(date -u +%FT%TZ)\", \"event\": \"$1\", \"boot_id\": \"$booted\", \"nonce\": \"$nonce\", "
    line="$line\"from\": \"$from\", \"to\": \"$to\", \"detail\": \"$2\", \"previous\": \"${previous%% *}\", "
    sum=$(printf %s "$line" | sha256sum)
    printf '%s"sum": "%s"}\n' "$line" "${sum%% *}" >>"$log" && sync "$log"
    printf 'bulkhead: %s: %s %s\n' "${state##*/}" "$1" "$2" >&2
}

alone() { # command: policies share directories. Whoever holds their lock for long does not keep us from going back
    flock -w 10 8
    "$@"
} 8>>"$base/lock"

keeping_time() { # path command...: its directory has the same time after it, kills or not; footprint.py goes by that
    trouble=$1 directory=${1%/*} && shift
    touch -r "$directory" "$state/stamp" && ln -sfn "$directory" "$state/kept" && "$@" && sync "$directory" && give_time
}
give_time() { [ ! -e "$state/kept" ] || touch -cr "$state/stamp" "$state/kept" && rm -f "$state/kept"; }
put() { # number mode owner group path temporary
    cp "$state/generations/$from/files/$1" "$6" && chown "$3:$4" "$6" && chmod "$2" "$6" && place "$6" "$5"
}
put_all() {
    while read -r word want mode owner group number path; do
        [ "$word" = put ] || continue
        temporary=${path%/*}/.${path##*/}.bulkhead trouble=$path
        [ -d "${path%/*}" ] || (umask 022 && mkdir -p "${path%/*}") || return 1
        [ ! -e "$temporary" ] || keeping_time "$path" rm -f "$temporary" || return 1
        [ -f "$path" ] && [ ! -L "$path" ] && sum=$(sha256sum <"$path") && [ "${sum%% *}" = "$want" ] &&
            [ "$(stat -c '%04a %U %G' "$path")" = "$mode $owner $group" ] && continue
        keeping_time "$path" put "$number" "$mode" "$owner" "$group" "$path" "$temporary" || return 1
    done <"$back"
}

remove() { # paths
    for path in "$@"; do
        [ ! -d "${path%/*}" ] || keeping_time "$path" rm -f "$path" "${path%/*}/.${path##*/}.bulkhead" || return 1
    done
}
remove_made() { # directories that we made, once they are empty
    while read -r path; do
        [ ! -d "$path" ] || [ -n "$(ls -A "$path")" ] || keeping_time "$path" rmdir "$path"
    done <"$base/made"
}

unload() { # profiles: nothing runs under them any more. What the distribution's service compiled of them goes as well
    for profile in "$@"; do
        if grep -q "^$profile (" "$kernel/profiles" 2>/dev/null; then printf %s "$profile" >"$kernel/.remove"; fi
        rm -f "/var/cache/apparmor/$profile" "/var/cache/apparmor/"*"/$profile"
    done
}

# shellcheck disable=SC2086  # unit names have no spaces, and $queued is one option or none
control() { # systemctl command, units
    [ -z "$2" ] || systemctl $queued "$1" -- $2 9>&-
}

# The application lets go of our units before they stop, or stopping them would stop it too.
# shellcheck disable=SC2046  # neither paths nor names of ours have spaces
all_back() {
    give_time && alone put_all && alone remove $(way dropin) && reload_manager || return 1
    # A slice cannot reload, and restarting it would stop what runs in it: it only starts.
    # What runs may be a unit of the new generation that the old one's reload does not fit: then it starts anew.
    control start "$(way start)" && { control reload-or-restart "$(way reload)" || control restart "$(way reload)"; } ||
        failed="our units;"
    if [ -z "$queued" ]; then
        control reset-failed "$(way restart)" 2>/dev/null
        control restart "$(way restart)" || failed="$failed the application;"
        # Somebody may have started it since: what runs in a slice of ours would stop with the slice.
        case $from$(systemctl show -p ControlGroup -- "$(way application)") in
        ControlGroup=/bulkhead.slice/*) control restart "$(way application)" ;;
        esac
    fi
    control stop "$(way stop)"
    alone remove $(way remove) || return 1
    unload $(way profile)
    alone remove_made
    [ -z "$(way stop)" ] || reload_manager || return 1 # only units that went are news to systemd now
    echo "$from" >"$state/active.new" && place "$state/active.new" "$state/active"
}

revert() { # nonce; the lock is held
    [ "$phase" != idle ] && [ "$nonce" = "$1" ] || return 0
    from=$(way from) to=$(way to) failed=''
    if [ "$phase" = armed ] && [ "$from" != "$to" ] && [ "$(cat "$state/active" 2>/dev/null)" = "$from" ]; then
        move "$pending" "$state/abandoned.json" && receipt ABANDONED ''
        return # nothing was switched yet
    fi
    [ "$phase" = reverting ] || move "$pending" "$reverting" || return 1 # now nobody can confirm it any more
    if ! sealed "$back" "sum " || ! (whole "$from"); then
        failed="the generation before is damaged;"
    elif ! all_back; then # a full disk, an immutable file: it stays so, and the guard tries again
        tail -n 1 "$state/receipts.jsonl" | grep -q '"REVERTING"' || receipt REVERTING "stuck at $trouble"
        return 1
    fi
    move "$reverting" "$state/revert${failed:+_fail}ed.json" && receipt "REVERT${failed:+_FAIL}ED" "${failed% ;}"
    [ -z "$failed" ]
}

lock() {
    exec 9>>"$state/lock"
    if ! flock -w 20 9; then
        # Who applies past the deadline hangs and must not keep the host from returning. The number may be an old one.
        read_pending
        [ "$phase" = armed ] && ! in_time && read -r holder <"$state/lock" || exit 1
        case $(readlink /proc/"${holder:-none}"/fd/*) in *"$state/lock"*) kill -KILL "$holder" ;; esac
        flock -w 20 9 || exit 1
    fi
    echo $$ >"$state/lock"
    read_pending
}

act() { # nonce
    lock
    [ "$phase" != idle ] || return 0
    [ "$nonce" = "$1" ] || again
    case $phase in pending | soaking) if in_time; then again; fi ;; esac
    if [ "$phase$lapse" = soakinghold ]; then
        from=$(way from) to=$(way to)
        move "$pending" "$state/confirmed.json" && receipt CONFIRMED "the lease is over: held"
    else
        revert "$1" || ! { [ -f "$reverting" ] || [ -f "$pending" ]; }
    fi
}

wait_for() { # nonce
    while :; do
        [ "$phase" = idle ] || [ "$nonce" = "$1" ] || again
        left=$((deadline - now - 1))
        case $phase in
        idle) if unlocked && read_pending && [ "$phase" = idle ]; then return; fi && left=2 ;; # it is about to begin
        # Who applies or goes back holds the lock until all is done: a free lock means that it died.
        armed) if ! in_time || unlocked; then break; fi && left=2 ;;
        reverting) if unlocked; then break; fi && left=2 ;;
        *) in_time || break ;; # pending, soaking, torn
        esac
        if [ $left -lt 1 ]; then sleep 0.3; else sleep $((left < 10 ? left : 10)); fi # the host may sleep meanwhile
        read_pending
    done
    act "$1" || { exec 9>&- && sleep 4 && again; }
}

use "$base/${2:-none}" && read_pending
case ${1:-} in
wait) wait_for "$(way nonce)" ;;
revert) revert "$3" ;;
rehearse) sealed "$back" "sum " && (whole "$(way to)") && (whole "$(way from)") ;;
recover)
    queued=--no-block
    for marker in "$base"/*/pending.json "$base"/*/reverting.json; do
        use "${marker%/*}"
        [ ! -f "$marker" ] || (read_pending && [ "$boot" != "$booted" ] && act "$nonce") ||
            systemctl --no-block start "bulkhead-guard@${state##*/}.service" # of this boot, or stuck: it waits
    done
    ;;
*) echo "usage: guard wait|revert|rehearse|recover" >&2 && exit 64 ;;
esac
"""
