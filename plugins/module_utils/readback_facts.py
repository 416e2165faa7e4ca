# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says about its units, processes, mounts, control groups and packet filter; each asked once."""

from __future__ import annotations

import os

from . import apparmor, command, nft_tables
from .units import parse_show

PROC = "/proc"
CGROUP = "/sys/fs/cgroup"
RESTRICTIVE = ("ro", "noexec", "nosuid", "nodev")


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return None


def parse_mounts(text):
    """/proc/PID/mountinfo -> [(mount point, options, (root, file system, source))] in order (proc(5))."""
    mounts = []
    for line in text.splitlines():
        left, _dash, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(tail) < 2:
            continue
        point = fields[4].encode("latin-1", "replace").decode("unicode_escape")  # \040 stands for a space
        options = fields[5].split(",")
        # A file system that is read-only as a whole says so at the end only.
        if "ro" in tail[-1].split(",") and "ro" not in options:
            options = ["ro"] + [option for option in options if option != "rw"]
        mounts.append((point, options, (fields[3], tail[0], tail[1])))
    return mounts


def covering(mounts, path):
    """The mount that ``path`` lies on: the longest mount point, the last one where several are stacked."""
    best = None
    for mount in mounts:
        point = mount[0].rstrip("/") + "/"
        if (path.rstrip("/") + "/").startswith(point) and (best is None or len(mount[0]) >= len(best[0])):
            best = mount
    return best


class Facts:
    """One host, read lazily. ``unit`` names are systemd units."""

    def __init__(self, run=command.run):
        self._run = run
        self._shown = {}
        self._mounts = {}
        self._status = {}
        self._tables = {}

    def load(self, wanted):
        """Read properties of all units at once: ``wanted`` is {unit: set of properties}."""
        units = sorted(wanted)
        if not units:
            return
        properties = sorted({"MainPID", "ControlGroup", "ActiveState"}.union(*wanted.values()))
        done = self._run(["systemctl", "show", "-p", ",".join(properties), "--"] + units)
        shown = parse_show(done.stdout, units)
        for unit in units:
            # What was asked and not answered is None from now on, so that it is not asked again.
            self._shown[unit] = dict.fromkeys(properties)
            self._shown[unit].update(shown.get(unit, {}))

    def know(self, shown):
        """Take over what was read before: {unit: {property: value}}. A property that is missing is None."""
        for unit, values in shown.items():
            self._shown.setdefault(unit, {}).update(values)

    def show(self, unit, name):
        """A property as ``systemctl show`` prints it, or None where the unit has none of that name."""
        if name not in self._shown.get(unit, {}):
            self.load({unit: {name} | set(self._shown.get(unit, {}))})
        return self._shown.get(unit, {}).get(name)

    def main_pid(self, unit):
        """The unit's main process; where it names none (a script of System V), the first in its control group."""
        named = int(self.show(unit, "MainPID") or 0)
        return named or min(self.pids(unit), default=0)

    def status(self, pid):
        """/proc/PID/status as a dict; empty where there is no such process."""
        if pid not in self._status:
            text = _read("%s/%d/status" % (PROC, pid)) if pid else None
            lines = [line.partition(":") for line in (text or "").splitlines()]
            self._status[pid] = {name: value.strip() for name, _colon, value in lines}
        return self._status[pid]

    def hard_limit(self, pid, name):
        """A hard limit of a process as proc(5), limits, has it, "max" for none; None where there is no such process."""
        for line in (_read("%s/%d/limits" % (PROC, pid)) or "").splitlines():
            if line[:26].strip() == name:
                return line[26:].split()[1].replace("unlimited", "max")
        return None

    def effective_uid(self, pid):
        """The effective user of a process right now; None where it is gone."""
        text = _read("%s/%d/status" % (PROC, pid)) or ""
        found = [line.split()[2] for line in text.splitlines() if line.startswith("Uid:")]
        return int(found[0]) if found else None

    def mounts(self, pid):
        if pid not in self._mounts:
            self._mounts[pid] = parse_mounts(_read("%s/%d/mountinfo" % (PROC, pid)) or "") if pid else []
        return self._mounts[pid]

    def mount_options(self, pid, path):
        """The options of the mount that ``path`` lies on, as the process sees it; [] where there is none."""
        mount = covering(self.mounts(pid), path)
        return mount[1] if mount else []

    def label(self, pid):
        """The AppArmor profile of a process and its mode, "x (enforce)" or "unconfined"; None where there is none."""
        return apparmor.label(pid) or None

    def profile_mode(self, name):
        """The mode in which the kernel holds a profile; None where it does not."""
        return apparmor.loaded().get(name)

    def cgroup_file(self, unit, name):
        group = self.show(unit, "ControlGroup")
        # "legacy:memory/memory.limit_in_bytes": of the hierarchy that cgroup v1 has for each controller.
        legacy, _colon, place = name.rpartition(":")
        folder, _slash, file = place.rpartition("/") if legacy else ("", "", place)
        below = "/" + folder if folder else ""
        text = _read(CGROUP + below + group + "/" + file) if group else None
        return None if text is None else text.strip()

    def pids(self, unit):
        """All processes of a unit, those in control groups below it too."""
        group = self.show(unit, "ControlGroup")
        if not group:
            return []
        # Where each controller has a hierarchy of its own, systemd keeps one for itself.
        roots = (CGROUP, CGROUP + "/unified", CGROUP + "/systemd")
        root = next((place for place in roots if os.path.isdir(place + group)), CGROUP)
        found = []
        for folder, _folders, _names in os.walk(root + group):
            found += [int(pid) for pid in (_read(folder + "/cgroup.procs") or "").split()]
        return found

    def table(self, name):
        """The objects of one nftables table (libnftables-json(5)), or None where there is no such table."""
        words = name.split()
        family, table = words if len(words) == 2 else ("inet", name)
        return nft_tables.objects(self._run, family, table)

    def table_once(self, name):
        """Like ``table``, read once: for what does not change while it is looked at."""
        if name not in self._tables:
            self._tables[name] = self.table(name)
        return self._tables[name]

    def refusals(self, tables):
        """{rule: packets} of the rules that drop or reject, in the tables named; None without any."""
        counts = {}
        for name in tables:
            rules = [entry["rule"] for entry in self.table(name) or [] if "rule" in entry]
            chains = refusing_chains(rules)
            for number, rule in enumerate(rules):
                packets = refused_packets(rule, chains)
                if packets is not None:
                    counts["%s (handle %s)" % (rule.get("comment", "rule"), rule.get("handle", number))] = (
                        packets
                    )
        return counts or None

    def device(self):
        """The first network interface that is up and is not the loopback; "" where there is none."""
        for name in sorted(os.listdir("/sys/class/net")):
            state = (_read("/sys/class/net/%s/operstate" % name) or "").strip()
            if name != "lo" and state in ("up", "unknown"):
                return name
        return ""

    def holds_port(self, unit, protocol, port):
        """Whether a process of the unit has the socket that is bound to the port (proc(5), net/tcp)."""
        inodes = set()
        for name in (protocol, protocol + "6"):
            for line in (_read("%s/net/%s" % (PROC, name)) or "").splitlines()[1:]:
                fields = line.split()
                bound = fields[3] == (
                    "0A" if protocol == "tcp" else "07"
                )  # TCP_LISTEN, TCP_CLOSE (unconnected)
                if bound and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add("socket:[%s]" % fields[9])
        for pid in self.pids(unit):
            folder = "%s/%d/fd" % (PROC, pid)
            try:
                if any(os.readlink(folder + "/" + handle) in inodes for handle in os.listdir(folder)):
                    return True
            except OSError:
                continue  # the process or the descriptor is gone meanwhile
        return False


def _verdicts(rule):
    return [name for entry in rule.get("expr", ()) for name in ("accept", "drop", "reject") if name in entry]


def refusing_chains(rules):
    """Names of the chains that drop or reject and accept nothing: whoever is sent there is refused."""
    verdicts = {}
    for rule in rules:
        verdicts.setdefault(rule.get("chain"), []).extend(_verdicts(rule))
    return {chain for chain, found in verdicts.items() if found and "accept" not in found}


def refused_packets(rule, chains=()):
    """Packets that a rule has refused, itself or by ``goto`` into one of ``chains``; None where it does not
    refuse or does not count."""
    packets, refuses = None, False
    for expression in rule.get("expr", ()):
        if isinstance(expression.get("counter"), dict):
            packets = int(expression["counter"]["packets"])
        sent = expression.get("goto") or expression.get("jump") or {}
        refuses = refuses or "drop" in expression or "reject" in expression or sent.get("target") in chains
    return packets if refuses else None
