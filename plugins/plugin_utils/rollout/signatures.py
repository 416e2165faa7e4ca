# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of people: made and checked by ``ssh-keygen -Y`` (ssh-keygen(1), OpenSSH 8.0 and newer).

Who may sign is in a file of allowed signers. Which key made a signature is read from the signature itself
(PROTOCOL.sshsig), so that one key under two names is seen as one person.
"""

from __future__ import annotations

import base64
import binascii
import subprocess
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

from .errors import RolloutError

APPROVAL, POLICY = "bulkhead-approval", "bulkhead-policy"
_MAGIC = b"SSHSIG"
_WITHIN = 30


def verify(statement: bytes, signature: Path, identity: str, signers: Path, namespace: str) -> str:
    """ "" where ``identity`` signed ``statement``, else why not. Nothing is believed that ssh-keygen does not."""
    # A name that begins with a dash would be read as an option.
    if not identity or identity.startswith("-") or not identity.isprintable():
        return f"'{identity}' is no name of a signer"
    argv = ["-Y", "verify", "-f", str(signers), "-I", identity, "-n", namespace, "-s", str(signature)]
    code, said = _run(argv, statement)
    return "" if code == 0 else f"the signature does not check out ({said})"


def sign(statement: bytes, key: Path, namespace: str) -> bytes:
    """The signature, armored. ssh-keygen asks ssh-agent, or for the passphrase on the terminal."""
    with tempfile.TemporaryDirectory() as work:
        message = Path(work) / "message"
        message.write_bytes(statement)
        code, said = _run(["-Y", "sign", "-f", str(key), "-n", namespace, str(message)], b"", terminal=True)
        if code != 0:
            raise RolloutError(
                f"'{key}' cannot sign: {said}.", "Add the key to ssh-agent, or name another one."
            )
        return message.with_suffix(".sig").read_bytes()


def key_of(signature: Path) -> bytes:
    """The public key in a signature. Raises RolloutError where there is none, or a certificate."""
    try:
        lines = signature.read_text("ascii").split("-----")
        if lines[1] != "BEGIN SSH SIGNATURE":
            raise ValueError
        raw = base64.b64decode("".join(lines[2].split()), validate=True)
        if raw[:6] != _MAGIC or int.from_bytes(raw[6:10], "big") != 1:
            raise ValueError
        key = _string(raw, 10)
        kind = _string(key, 0)
    except (OSError, ValueError, IndexError, binascii.Error):
        raise RolloutError(f"'{signature.name}' is no signature of ssh-keygen.") from None
    if b"-cert-" in kind:
        raise RolloutError(f"'{signature.name}' was made with a certificate; sign with a plain key.")
    return key


def names_of(key: bytes, signers: Path) -> frozenset[str]:
    """All names (or patterns of names) that the file of allowed signers gives to ``key``."""
    wanted, names = base64.b64encode(key).decode(), set()
    for line in signers.read_text("utf-8", "replace").splitlines():
        fields = line.split()
        if fields and not fields[0].startswith("#") and wanted in fields[1:]:
            names |= set(fields[0].strip('"').split(","))
    return frozenset(names)


def is_named(identity: str, patterns: frozenset[str]) -> bool:
    return any(fnmatchcase(identity, pattern) for pattern in patterns)


def _string(raw: bytes, at: int) -> bytes:
    size = int.from_bytes(raw[at : at + 4], "big")
    found = raw[at + 4 : at + 4 + size]
    if len(found) != size:
        raise ValueError("cut short")
    return found


def _run(arguments: list[str], given: bytes, terminal: bool = False) -> tuple[int, str]:
    try:
        done = subprocess.run(
            ["ssh-keygen", *arguments],
            input=given,
            capture_output=True,
            check=False,
            timeout=None if terminal else _WITHIN,
        )
    except FileNotFoundError:
        raise RolloutError("ssh-keygen is not installed.", "Install OpenSSH's client.") from None
    except subprocess.TimeoutExpired:
        return 1, f"ssh-keygen gave no answer within {_WITHIN} seconds"
    said = " ".join((done.stderr or done.stdout).decode("utf-8", "replace").split())
    return done.returncode, said.rstrip(".")[:200] or "no reason given"
