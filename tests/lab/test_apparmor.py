# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AppArmor on real hosts, through bulkhead.fleet.sandbox: what mounts alone leave open is closed, and nothing stays.

A service of the test's own does what it is told by a file and says by another what came of it. It is Python's, started
by systemd, so that its interpreter needs no grant.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab_host import LabHost, chosen

pytestmark = pytest.mark.lab
UNIT = "aaprobe.service"
DATA = "/srv/aaprobe/data"
SCRIPT = "/srv/aaprobe/run.py"
PROFILE = "bulkhead.aaprobe"
POLICY = """
schema: 1
policy: aaprobe
version: 1.0.0
owner: tests
summary: Tries what it is told.
mode: MODE
workload: {linux: {unit: aaprobe.service}}
identity: {privileges: []}
filesystem:
  read: [/srv/aaprobe]
  write: [/srv/aaprobe/data]
  execute: [/srv/aaprobe/bin/true]
  deny: [/srv/aaprobe/secret, /srv/aaprobe/data/private]
memory: {writable_and_executable: allow}
resilience: {start_timeout: 3min}
"""
UNIT_TEXT = f"[Service]\nType=exec\nExecStart=/usr/bin/python3 -I -S {SCRIPT}\n"
SERVICE = r"""
import errno, mmap, os, time
def read(path):
    return open(path, "rb").read(64).decode("latin-1")
def execute(path, *words):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(path, [path, *words])
        except OSError as error:
            os.write(writer, str(error.errno).encode())
        os._exit(1)
    os.close(writer)
    said = os.read(reader, 9)
    os.waitpid(pid, 0)
    if said:
        raise OSError(int(said), "exec")
    return "ran"
def copied(path):
    with open(path, "wb") as out, open("/srv/aaprobe/bin/true", "rb") as program:
        out.write(program.read())
    os.chmod(path, 0o755)
    return execute(path)
def memfd():
    handle = os.memfd_create("x", 0)
    os.write(handle, open("/srv/aaprobe/bin/true", "rb").read())
    return execute("/proc/self/fd/%d" % handle)
def mapped(path):
    handle = os.open(path, os.O_RDONLY)
    mmap.mmap(handle, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC, flags=mmap.MAP_PRIVATE)
    return "mapped"
def unnamed(path):
    return os.open(path, os.O_TMPFILE | os.O_WRONLY, 0o600) and "made"
ACTS = {"read": read, "execute": execute, "copied": copied, "memfd": memfd, "mapped": mapped, "unnamed": unnamed}
while True:
    try:
        name, *words = open("/srv/aaprobe/data/ask").read().split()
        try:
            answer = ACTS[name](*words)
        except OSError as error:
            answer = errno.errorcode[error.errno]
        with open("/srv/aaprobe/data/new", "w") as out:
            out.write(answer)
        os.unlink("/srv/aaprobe/data/ask")
        os.rename("/srv/aaprobe/data/new", "/srv/aaprobe/data/answer")
    except FileNotFoundError:
        time.sleep(0.2)
"""
SET_UP = f"""
mkdir -p /srv/aaprobe/bin /srv/aaprobe/data/private
cp /usr/bin/true /srv/aaprobe/bin/true
echo secret >/srv/aaprobe/secret
echo private >/srv/aaprobe/data/private/file
cat >{SCRIPT} <<'END'
{SERVICE}
END
cat >/etc/systemd/system/{UNIT} <<'END'
{UNIT_TEXT}
END
systemctl daemon-reload
systemctl start {UNIT}
"""
CLEAN_UP = f"systemctl stop {UNIT}; rm -rf /srv/aaprobe /etc/systemd/system/{UNIT}; systemctl daemon-reload"


def mine(snapshot: list[str]) -> list[str]:
    """Without the links that a test of the distribution's own service has made anew."""
    made_anew = ("etc/systemd/system/sysinit.target.wants", "etc/rc")
    return [line for line in snapshot if not line.startswith(made_anew)]


class Probed(LabHost):
    def sandbox(self, *arguments: str, mode: str = "enforce", **options: object) -> dict[str, object]:
        folder = self.work / mode
        folder.mkdir(exist_ok=True)
        (folder / "aaprobe.yml").write_text(POLICY.replace("MODE", mode))
        given = {"policy": "aaprobe", "policies_dirs": [str(folder)], "confirm_within": 600}
        return self.run(*arguments, **{**given, **options})[0]

    def label(self) -> str:
        return self.ssh(f"cat /proc/$(systemctl show --value -p MainPID {UNIT})/attr/current")

    def loaded(self) -> str:
        return self.ssh("grep '^bulkhead' /sys/kernel/security/apparmor/profiles || true")


# Containers of the lab have no AppArmor.
@pytest.fixture(scope="module", params=chosen("qemu"))
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probed]:
    if request.param == "none":
        pytest.skip("no lab is up (make lab-up)")
    host = Probed(request.param, tmp_path_factory.mktemp(request.param))
    assert host.ssh("test -e /var/lib/bulkhead && echo there || true") == "", "somebody uses this host"
    host.ssh(SET_UP)
    host.before = host.snapshot()  # type: ignore[attr-defined]
    try:
        result = host.sandbox()
        assert result["state"] == "confirmed", result
        yield host
    finally:
        host.sandbox(state="absent", epoch=2**31)
        host.ssh(CLEAN_UP)


def test_the_profile_is_loaded_and_the_service_is_under_it(host: Probed) -> None:
    assert host.loaded() == f"{PROFILE} (enforce)"
    assert host.label() == f"{PROFILE} (enforce)"


@pytest.mark.parametrize(
    ("act", "answer"),
    [
        (("execute", "/srv/aaprobe/bin/true"), "ran"),
        (("execute", "/usr/bin/true"), "EACCES"),
        (("execute", "/usr/lib/systemd/systemd-sysctl", "--version"), "EACCES"),
        (("execute", "/lib64/ld-linux-x86-64.so.2", "/usr/bin/true"), "EACCES"),
        (("copied", "/srv/aaprobe/data/program"), "EACCES"),
        (("copied", "/tmp/program"), "EACCES"),
        (("mapped", "/srv/aaprobe/data/program"), "EACCES"),
        (("memfd",), "EACCES"),
        (("unnamed", "/srv/aaprobe/data"), "made"),
        (("read", "/etc/fstab"), "EACCES"),
        (("read", "/srv/aaprobe/data/private/file"), "EACCES"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else words,
)
def test_what_is_granted_works_and_nothing_else(host: Probed, act: tuple[str, ...], answer: str) -> None:
    assert host.ask(DATA, *act) == answer


def test_a_denied_file_that_is_replaced_by_rename_stays_denied(host: Probed) -> None:
    assert host.ask(DATA, "read", "/srv/aaprobe/secret") == "EACCES"
    host.ssh("echo fresh >/srv/aaprobe/new && mv /srv/aaprobe/new /srv/aaprobe/secret")
    assert host.ask(DATA, "read", "/srv/aaprobe/secret") == "EACCES"
    host.ssh("mkdir /srv/aaprobe/data/p && echo fresh >/srv/aaprobe/data/p/file && cd /srv/aaprobe/data"
             " && mv private old && mv p private")  # fmt: skip
    assert host.ask(DATA, "read", "/srv/aaprobe/data/private/file") == "EACCES"


def test_a_program_put_in_place_of_a_denied_one_is_denied(host: Probed) -> None:
    host.ssh("cp /usr/bin/true /srv/aaprobe/bin/new && mv /srv/aaprobe/bin/new /srv/aaprobe/bin/other")
    assert host.ask(DATA, "execute", "/srv/aaprobe/bin/other") == "EACCES"


def test_denials_name_the_profile(host: Probed) -> None:
    assert f'profile="{PROFILE}" name="/srv/aaprobe/secret"' in host.ssh(
        "dmesg | grep aaprobe; journalctl -k -g aaprobe"
    )


def test_drift_of_the_kernel_is_told_and_put_right(host: Probed) -> None:
    host.ssh(f"printf {PROFILE} >/sys/kernel/security/apparmor/.remove")
    info, _text = host.run(module="sandbox_info", policy="aaprobe")
    told = {(item["what"], item["why"]) for item in info["drift"]}
    assert (PROFILE, "the AppArmor profile is not loaded") in told
    assert any(what == UNIT and "runs as 'unconfined'" in why for what, why in told)
    assert host.sandbox()["state"] == "confirmed"
    assert host.label() == host.loaded() == f"{PROFILE} (enforce)"
    assert host.sandbox()["changed"] is False


def test_audit_logs_and_denies_nothing(host: Probed) -> None:
    assert host.sandbox(mode="audit")["state"] == "confirmed"
    assert host.label() == f"{PROFILE} (complain)"
    for act, answer in ((("read", "/srv/aaprobe/secret"), "fresh"), (("execute", "/usr/bin/true"), "ran")):
        assert host.ask(DATA, *act) == answer
    for act in (("copied", "/srv/aaprobe/data/program"), ("memfd",)):
        assert host.ask(DATA, *act) == "ran"
    assert host.label() == f"{PROFILE} (complain)"
    assert 'apparmor="ALLOWED"' in host.ssh("dmesg | grep aaprobe; journalctl -k -g aaprobe")


def test_after_a_reboot_it_is_confined_also_without_the_distributions_service(host: Probed) -> None:
    assert host.sandbox()["state"] == "confirmed"
    host.ssh("systemctl disable --quiet apparmor.service")
    try:
        host.lab("reboot")
        host.ssh(f"systemctl start {UNIT}")
        assert host.label() == host.loaded() == f"{PROFILE} (enforce)"
        assert host.ask(DATA, "read", "/srv/aaprobe/secret") == "EACCES"
        assert host.run(module="sandbox_info", policy="aaprobe")[0]["drift"] == []
    finally:
        host.ssh("systemctl enable --quiet --now apparmor.service")


def test_absent_leaves_no_trace(host: Probed) -> None:
    host.ssh("systemctl reload apparmor.service")  # it compiles every profile into its cache, and loads that
    assert host.run(module="sandbox_info", policy="aaprobe")[0]["drift"] == []
    assert host.sandbox(state="absent")["state"] == "absent"
    assert host.loaded() == "" and host.label() == "unconfined"
    assert host.ssh("find /etc/apparmor.d /var/cache/apparmor -name '*bulkhead*'") == ""
    assert host.ssh("systemctl list-units --all --no-legend '*bulkhead*'") == ""
    assert mine(host.snapshot()) == mine(host.before)  # type: ignore[attr-defined]
