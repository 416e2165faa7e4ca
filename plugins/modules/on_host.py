#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# No future import: a host whose Python is too old must get as far as the sentence that says so.

DOCUMENTATION = r"""
module: on_host
short_description: Runs one operation of Bulkhead on a host
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - The carrier of the other modules of this collection; their action plugins call it, playbooks do not.
  - It holds what the action plugin sent in memory and runs it. Nothing is written to the host to get it running, and
    nothing of Ansible's own library is sent along, which saves a tenth of a second of a host's time on each call.
  - A host that has been changed keeps the sources for the next call, which names them by their SHA-256.
options:
  program:
    description: The sources or the name of those that the host keeps, then the operation and its request, packed.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: The operation is told.
notes:
  - Needs Python 3.9 or newer on the host.
seealso:
  - module: bulkhead.fleet.sandbox
"""

EXAMPLES = r"""
- name: Not called by hand; this is what calls it
  bulkhead.fleet.sandbox:
    policy: nginx
"""

RETURN = r"""
state:
  description: What became of the operation, where it says so.
  type: str
  returned: by some operations
"""

import binascii
import hashlib
import importlib
import importlib.machinery
import json
import marshal
import sys
import zlib

GIVEN = r"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""
PACKAGE = "bulkhead_host"
KEPT = "/var/lib/bulkhead/_%s"  # by kept.py


class Sources:
    """Finds and loads the modules of ``PACKAGE`` in a dict of their sources (importlib's protocols, not its classes:
    importing those costs more than all that is done here)."""

    def __init__(self, packed, code):
        self.packed, self.code, self.are_kept = packed, code, bool(code)
        self.sources = {"%s.%s" % (PACKAGE, name): source for name, source in unpacked(packed).items()}
        self.sources[PACKAGE] = ""

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.sources:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=self.is_package(fullname))

    def is_package(self, fullname):
        return fullname == PACKAGE

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        if name not in self.code:
            self.code[name] = compile(self.sources[name], name, "exec", dont_inherit=True)
        exec(self.code[name], module.__dict__)

    def get_source(self, fullname):
        return self.sources[fullname]


def spoken(result):
    """JSON in ASCII. Ansible takes no half characters, which names of files that are not UTF-8 become."""
    text = json.dumps(result)
    if "\\ud" in text:
        text = json.dumps(
            json.loads(json.dumps(result, ensure_ascii=False).encode("utf-8", "replace").decode())
        )
    return text


def unpacked(word):
    return json.loads(zlib.decompress(binascii.a2b_base64(word)).decode())


def kept(what):
    """The bytes of what an earlier call left here."""
    try:
        with open(KEPT % what, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def sources_of(word):
    """What was sent, or what is kept by that name; None where something else is kept, or nothing."""
    if not word.startswith("@"):
        return Sources(word, {})
    packed, code, name = kept("sources"), kept("compiled"), word[1:]
    if hashlib.sha256(packed).hexdigest() != name:
        return None
    # Only what this very Python made of these very sources.
    seal = hashlib.sha256((sys.version + name).encode() + code[64:]).hexdigest()
    return Sources(packed.decode(), marshal.loads(code[64:]) if seal.encode() == code[:64] else {})


def main():
    if sys.version_info < (3, 9):
        version = "%d.%d" % sys.version_info[:2]
        return {"failed": True, "msg": "the host's Python is %s; Bulkhead needs 3.9 or newer." % version}
    given = json.loads(GIVEN)
    word, asked = given["program"].split()
    sources, sent = sources_of(word), unpacked(asked)
    if sources is None:
        return {"changed": False, "state": "unknown_program"}
    sys.meta_path.insert(0, sources)
    importlib.import_module(PACKAGE).carried = sources
    dispatch = importlib.import_module(PACKAGE + ".dispatch")
    return dispatch.answer(sent["operation"], sent["request"], bool(given.get("_ansible_check_mode")))


def declare():
    """Say what the module takes, to tools that ask for it the way they ask all modules. A host never gets here: it
    would have to have Ansible's library, and sending that along is what this module does without."""
    basic = importlib.import_module("ansible.module_utils.basic")
    basic.AnsibleModule(
        argument_spec={"program": {"type": "str", "required": True}}, supports_check_mode=True
    )


if __name__ == "__main__":
    if GIVEN.startswith("{"):  # Ansible filled it in
        result = main()
        sys.stdout.write(spoken(result) + "\n")
        raise SystemExit(1 if result.get("failed") else 0)
    declare()
