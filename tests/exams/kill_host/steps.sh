# shellcheck shell=sh
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Read before the guard by the shell that runs it: each command that lasts counts, and the one before which the file "guard" says
# so ends the shell. The number is used once: systemd starts the guard again, and that one lives.
steps=0 here=/opt/bulkhead-exam limit=0
if [ -f $here/guard ]; then read -r limit <$here/guard; fi
step() {
    steps=$((steps + 1))
    if [ "$steps" -eq "$limit" ]; then
        command rm -f $here/guard
        : >$here/died
        kill -KILL $$
    fi
}
mv() { step && command mv "$@" && step; }
cp() { step && command cp "$@"; }
rm() { step && command rm "$@"; }
rmdir() { step && command rmdir "$@"; }
touch() { step && command touch "$@"; }
sync() { step && command sync "$@"; }
systemctl() { step && command systemctl "$@"; }
