# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generations of one policy on the disk: written beside the others whole or not at all, read back, checked."""

from __future__ import annotations

import json
import os
import shutil

from . import bundles, files, records, way_back
from .errors import HostError

KEEP = 3
NOTES = ("features.json", "seen.json")  # what drift.py remembers beside a generation


def sealed(text):
    """``text`` below a line with its own SHA-256; the guard checks it in one step."""
    return "sum %s\n%s" % (files.sha256(text.encode()), text)


def unsealed(content):
    """The text of ``sealed`` text (bytes), None where it is not what was written."""
    first, _newline, rest = (content or b"").partition(b"\n")
    return rest.decode() if first == b"sum %s" % files.sha256(rest).encode() else None


def _built(content):
    """The ``Bundle`` of a bundle.json (bytes), None where it is not of the shape that this version writes."""
    try:
        return bundles.build(json.loads(content.decode()))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


class Generations:
    """What ``Store`` has of them; ``at`` and ``policy`` are its own."""

    def generation(self, digest):
        return self.at("generations", digest)

    def generations(self):
        """Digests of the stored generations, sorted."""
        try:
            return sorted(
                name for name in os.listdir(self.at("generations")) if bundles.DIGEST.fullmatch(name)
            )
        except FileNotFoundError:
            return []

    def stage(self, bundle):
        """Write the generation of ``bundle`` beside the others, whole or not at all, and return its directory."""
        final = self.generation(bundle.digest)
        if self.fault(bundle.digest) == "":
            return final
        staged, aside = final + ".new", final + ".old"
        for path in (staged, aside):
            shutil.rmtree(path, ignore_errors=True)
        try:
            os.mkdir(staged, 0o700)
            os.mkdir(os.path.join(staged, "files"), 0o700)
            lines = []
            for place, item in enumerate(bundle.artifacts):
                files.write(os.path.join(staged, "files", str(place)), item.content)
                lines.append(way_back.manifest_line(place, item) + "\n")
            texts = {
                "bundle.json": json.dumps(bundle.data, sort_keys=True),
                "manifest": "".join(lines),
            }
            sums = "".join("%s  %s\n" % (files.sha256(text.encode()), name) for name, text in texts.items())
            sums += "".join("%s  files/%d\n" % (line[:64], place) for place, line in enumerate(lines))
            texts["sums"] = sealed(sums)
            for name, text in texts.items():
                files.write(os.path.join(staged, name), text.encode())
            if os.path.lexists(final):  # damaged, and better than none until the new one is in its place
                os.rename(final, aside)
            os.rename(staged, final)
        except (OSError, HostError) as problem:
            shutil.rmtree(staged, ignore_errors=True)
            raise HostError(
                "cannot stage the new files: %s" % (getattr(problem, "strerror", None) or problem)
            ) from None
        files.sync_directory(self.at("generations"))
        shutil.rmtree(aside, ignore_errors=True)
        return final

    def active_bundle(self):
        """The active generation; None where there is none, or it is damaged, which keeps nobody from going on."""
        try:
            return self.load(self.active())
        except HostError:
            return None

    def load(self, digest):
        """The ``Bundle`` of a stored generation, None where there is none. HostError where it is damaged."""
        path = os.path.join(self.generation(digest), "bundle.json")
        content = files.read(path) if digest else None
        if content is None:
            return None
        sums = files.read_text(os.path.join(self.generation(digest), "sums"))
        if files.sha256(content) + "  bundle.json\n" not in sums:
            raise HostError(
                "generation %s of policy %s is damaged: %s is not what was written. Apply the same version once more."
                % (digest[:12], self.policy, path)
            )
        bundle = _built(content)
        if bundle is None or bundle.digest != digest:
            raise HostError(
                "generation %s of policy %s is not what this version reads: %s. Apply the same version once more."
                % (digest[:12], self.policy, path)
            )
        return bundle

    def fault(self, digest):
        """ "" where the stored generation is whole, else what is wrong with it, the first bad file by name."""
        directory = self.generation(digest)
        if not os.path.isdir(directory):
            return "generation %s is not there" % digest[:12]
        for name in NOTES:
            if records.read(os.path.join(directory, name)) is None:
                return "generation %s is damaged: %s is torn" % (digest[:12], os.path.join(directory, name))
        damaged = "generation %s is damaged: %%s is not what was written" % digest[:12]
        sums = unsealed(files.read(os.path.join(directory, "sums")))
        if sums is None:
            return damaged % os.path.join(directory, "sums")
        bundle = _built(files.read(os.path.join(directory, "bundle.json")) or b"")
        if bundle is not None and bundle.digest != digest:
            return "generation %s is damaged: %s is that of another" % (digest[:12], directory)
        for line in sums.splitlines():
            path = os.path.join(directory, line[66:])
            content = files.read(path)
            if content is None or files.sha256(content) != line[:64]:
                return damaged % path
        if bundle is None:
            unread = os.path.join(directory, "bundle.json")
            return "generation %s is damaged: %s is not what this version reads" % (digest[:12], unread)
        return ""

    def prune(self, keep):
        """Remove all but the ``KEEP`` newest generations and those named in ``keep``."""
        names = os.listdir(self.at("generations"))
        newest = sorted(names, key=lambda name: os.stat(self.generation(name)).st_mtime, reverse=True)
        for name in newest[KEEP:]:
            if name not in keep:
                shutil.rmtree(self.generation(name), ignore_errors=True)
