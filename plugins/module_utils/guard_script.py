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
# shellcheck disable=SC2046,SC2086  # neither paths nor names of ours have spaces, and $queued is one option or none
set -u && umask 077
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
base=${0%/*} kernel=/sys/kernel/security/apparmor queued='' trouble='' failed=''
use() { state=$1 pending=$1/pending.json reverting=$1/reverting.json back=$1/back; }
again() { exit 75; } # systemd starts the guard once more
in_time() { [ "$boot" = "$booted" ] && [ "$deadline" -gt "$now" ]; }
unlocked() { [ ! -e "$state/lock" ] || flock -n "$state/lock" true; }
way() { sed -n "s/^$1 //p" "$back"; } # the way back, which the module laid down before it changed anything
move() { mv -fT "$1" "$2" && sync "$state"; }
place() { sync "$1" && mv -fT "$1" "$2" && sync "${2%/*}"; } # whole on the disk before it takes another's place
reload_manager() { trouble=daemon-reload && systemctl daemon-reload 9>&-; }
sealed() { # file, what its first line has before and after the sum of all the others
    IFS= read -r first && sum=$(sha256sum) && [ "$first" = "$2${sum%% *}${3:-}" ]
} 2>/dev/null <"$1"
whole() { # generation ("" for none): all files are to the byte what was written
    [ -z "$1" ] || { cd "$state/generations/$1" && sealed sums "sum " && sed 1d sums | sha256sum -c --strict --status; }
}

read_pending() {
    phase=idle boot='' deadline=0 epoch=0 from='' lapse='' nonce='' to='' record=$pending
    read -r booted </proc/sys/kernel/random/boot_id
    IFS=' .' read -r now _ </proc/uptime # seconds since boot: no change of the clock moves a deadline
    [ ! -f "$reverting" ] || record=$reverting
    if sealed "$record" '{"sum": "' '",'; then
        set -- # a word of each value, in the order of their names, behind "=": some are empty
        while read -r name word; do # no program: at boot each costs more than all of this
            case $name${word%,} in '"boot_id":"'*'"' | '"from":"'*'"' | '"lapse":"'*'"' | '"nonce":"'*'"' | \
                '"phase":"'*'"' | '"to":"'*'"' | '"deadline":'[0-9]* | '"epoch":'[0-9]*)
                word=${word%,} word=${word%\"} && set -- "$@" "=${word#\"}" ;;
            esac
        done <"$record"
        case $#${2:-}${3:-}:${7:-} in *[!0-9=]*:*) ;; 8*:=armed | 8*:=pending | 8*:=soaking | 8*:=reverting)
            boot=${1#=} deadline=${2#=} epoch=${3#=} from=${4#=} lapse=${5#=} nonce=${6#=} phase=${7#=} to=${8#=} ;;
        esac
    fi
    reached=$phase && [ "$phase" != idle ] || [ ! -f "$record" ] || phase=torn # and not confirmed meanwhile
    [ "$phase" != torn ] || ! sealed "$back" "sum " ||
        { nonce=$(way nonce) epoch=$(way epoch) from=$(way from) to=$(way to); }
    [ "$record" = "$pending" ] || phase=reverting
}
receipt() { # event detail
    log=$state/receipts.jsonl previous=$(printf %064d 0)
    [ ! -s "$log" ] || [ "$(tail -c 1 "$log" | wc -l)" -eq 1 ] || echo >>"$log" # torn by a power cut: stays as it is
    [ ! -s "$log" ] || previous=$(tail -n 1 "$log" | sha256sum)
    line="{$(printf '"%s": "%s", ' time "$(date -u +%FT%TZ)" event "$1" boot_id "$booted" nonce "$nonce" from "$from" \
        to "$to" detail "$2" previous "${previous%% *}")\"epoch\": ${epoch:-0}, "
    sum=$(printf %s "$line" | sha256sum)
    printf '%s"sum": "%s"}\n' "$line" "${sum%% *}" >>"$log" && sync "$log"
    printf 'bulkhead: %s: %s %s\n' "${state##*/}" "$1" "$2" >&2
}

# Policies share directories. Whoever holds their lock for long does not keep us from going back.
alone() { flock -w 10 8 || true && "$@"; } 8>>"$base/lock"
keeping_time() { # path command...: its directory has the same time after it, kills or not; footprint.py goes by that
    trouble=$state/stamp directory=${1%/*}
    touch -r "$directory" "$trouble" && ln -sfn "$directory" "$state/kept" && trouble=$1 && shift &&
        "$@" && sync "$directory" && give_time
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

control() { [ -z "$2" ] || systemctl $queued "$1" -- $2 9>&-; } # systemctl command, units
applications() { # to restart: those that the change restarted or that began since, but no one that was stopped since
    way application | while read -r unit run; do # run: of the unit when nothing was changed yet, or "restarted"
        case ${run:=restarted}:$reached:$(systemctl show -p ActiveState -p InvocationID -- "$unit" 9>&-) in
        restarted:pending:*=inactive* | restarted:soaking:*=inactive* | *"InvocationID=$run"*) ;;
        restarted:* | *State=active* | *State=activating* | *State=re*) echo "$unit" ;;
        esac
    done
}
start_all() { # what does not start is told, and keeps nothing else from going back
    # A slice can only start. A unit that runs as the new generation's may not know the old one's reload.
    control start "$(way start)" && { control reload-or-restart "$(way reload)" || control restart "$(way reload)"; } ||
        failed="our units;"
    [ -z "$queued" ] || return 0
    restart=$(applications)
    control reset-failed "$restart" 2>/dev/null
    control restart "$restart" || failed="$failed the application;"
    printf %s "$failed" >"$state/restarted" || rm -f "$state/restarted"
}
# The application lets go of our units before they stop, or stopping them would stop it too.
all_back() {
    trouble=$base/lock && give_time && alone put_all && alone remove $(way dropin) || return 1
    # Once is enough: a later step that fails is tried again every few seconds.
    { [ -z "$queued" ] && [ -f "$state/restarted" ]; } || { reload_manager && start_all; } || return 1
    failed=$(cat "$state/restarted" 2>/dev/null || echo "$failed")
    control stop "$(way stop)"
    alone remove $(way remove) || return 1
    unload $(way profile)
    alone remove_made
    [ -z "$(way stop)" ] || reload_manager || return 1 # only units that went are news to systemd now
    trouble=$state/active && grep -qsx "$from" "$state/active.new" || echo "$from" >"$state/active.new"
    place "$state/active.new" "$state/active"
}

revert() { # nonce; the lock is held
    [ "$phase" != idle ] && [ "$nonce" = "$1" ] || return 0
    read -r active 2>/dev/null <"$state/active" || active=''
    if [ "$phase$active" = "armed$from" ] && [ "$from" != "$to" ]; then
        move "$pending" "$state/abandoned.json" && receipt ABANDONED ''
        return # nothing was switched yet
    fi
    [ "$phase" = reverting ] || move "$pending" "$reverting" || return 1 # now nobody can confirm it any more
    if ! sealed "$back" "sum " || [ "$(way from)>$(way to)" != "$from>$to" ]; then
        failed="the way back is damaged;"
    elif ! (whole "$from"); then
        failed="the generation before is damaged;"
    elif ! all_back; then # a full disk, an immutable file: it stays so, and the guard tries again
        tail -n 1 "$state/receipts.jsonl" | grep -q '"REVERTING"' || receipt REVERTING "stuck at $trouble"
        return 1
    fi
    move "$reverting" "$state/revert${failed:+_fail}ed.json" || return 1
    receipt "REVERT${failed:+_FAIL}ED" "${failed% ;}" || true && [ -z "$failed" ]
}

act() { # nonce, or none at boot: whatever another boot left
    [ ! -L "$state/lock" ] || rm -f "$state/lock" # we write into it, and not into what somebody else points at
    exec 9>>"$state/lock"
    if ! flock -w 20 9; then
        # Who applies past the deadline hangs and must not keep the host from returning. The number may be an old one.
        read_pending
        [ "$phase" = armed ] && ! in_time && read -r holder <"$state/lock" || exit 1
        case $(readlink /proc/"${holder:-none}"/fd/*) in *"$state/lock"*) kill -KILL "$holder" ;; esac
        flock -w 20 9 || exit 1
    fi
    echo $$ >"$state/lock"
    read_pending && [ "$phase" != idle ] || return 0
    [ $# -eq 1 ] || [ "$boot" != "$booted" ] || return 1
    [ "$nonce" = "${1-$nonce}" ] || again
    case $phase in pending | soaking) if in_time; then again; fi ;; esac
    [ "$phase$lapse" = soakinghold ] || { revert "$nonce" || ! { [ -f "$reverting" ] || [ -f "$pending" ]; }; return; }
    move "$pending" "$state/confirmed.json" && receipt CONFIRMED "the lease is over: held"
}
wait_for_change() {
    while left=$((deadline - now - 1)); do
        [ "$phase" = idle ] || [ "$nonce" = "${meant:=$nonce}" ] || again # the first that it sees is the one it minds
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
    act "$meant" || { exec 9>&- && sleep 4 && again; }
}

use "$base/${2:-none}" && read_pending
case ${1:-} in
wait) meant='' && wait_for_change ;;
revert) revert "$3" ;;
rehearse) sealed "$back" "sum " && (whole "$(way to)") && (whole "$(way from)") ;;
recover) queued=--no-block
    for marker in "$base"/*/pending.json "$base"/*/reverting.json; do
        use "${marker%/*}"
        [ ! -f "$marker" ] || (act) ||
            systemctl --no-block start "bulkhead-guard@${state##*/}.service" # of this boot, or stuck: it waits
    done
    ;;
*) echo "usage: guard wait|revert|rehearse|recover" >&2 && exit 64 ;;
esac
"""
