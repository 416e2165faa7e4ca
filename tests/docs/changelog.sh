#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Write CHANGELOG.rst from changelogs/fragments, for the version of galaxy.yml. Until that version is released, run it again
# after each change of a fragment: the version's entry is made anew.
# antsibull-changelog copies the whole folder with build/ where it is not called from a collection's path: give it such a path.
set -eu -o pipefail
root=$PWD
copy=$root/build/changelog/ansible_collections/bulkhead/fleet
version=$(sed -n 's/^version: *//p' galaxy.yml)
rm -rf "$root/build/changelog"
mkdir -p "$copy"
cp -r galaxy.yml changelogs meta playbooks plugins roles "$copy"
cd "$copy"
antsibull-changelog lint
arguments=(--version "$version")
if grep -q "^  $version:" changelogs/changelog.yaml 2>/dev/null; then arguments+=(--update-existing --refresh --reload-plugins); fi
# Where an entry is made anew, the summary is looked for among new fragments only: the warning says nothing then.
antsibull-changelog release "${arguments[@]}" 2>&1 | { grep -v 'no release_summary' || true; }
cp CHANGELOG.rst "$root/"
cp changelogs/changelog.yaml "$root/changelogs/"
cd "$root"
rm -rf "$root/build/changelog"
