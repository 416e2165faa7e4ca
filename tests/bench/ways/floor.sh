#!/bin/sh
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# floor.sh SCRIPT AT_ONCE: plain ssh, one script for each host. Lines of standard input: host, then words for ssh.
# The least that the job can cost with these writes: it decides nothing, guards nothing, proves nothing.
script=$1
export script
# shellcheck disable=SC2016
exec xargs -P "$2" -L 1 sh -c 'ssh -C -o ControlPath=none -o BatchMode=yes "$@" sh -s <"$script"' sh
