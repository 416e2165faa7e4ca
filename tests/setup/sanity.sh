#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# ansible-test wants a real folder ansible_collections/bulkhead/fleet: give it a copy of what is tracked. Tests and docs stay
# out: ruff reads them in seconds, pylint would take minutes. Only the list of what is ignored, and why, comes along.
set -eu
home=$PWD/build/sanity
copy=$home/ansible_collections/bulkhead/fleet
rm -rf "$home/ansible_collections"
mkdir -p "$copy" "$home/.ansible/test/cache"
{ git ls-files -z -- . ':!tests' ':!docs' ':!.ci'; git ls-files -z -- tests/sanity; } | xargs -0 cp --parents -t "$copy"
git -C "$copy" init -q
# ansible-test checks what git does not ignore, and puts the environment that it runs in, pip and all, below tests/output.
echo /tests/output/ >>"$copy/.git/info/exclude"
git -C "$copy" add -A
# ansible-test fetches get-pip for its environments; the interpreter's own ensurepip does the same without a download.
requirements=$(python -c 'import ansible_test, os; print(os.path.dirname(ansible_test.__file__) + "/_internal/python_requirements.py")')
grep -o "pip='[0-9.]*'" "$requirements" | cut -d"'" -f2 | while read -r version; do
  printf 'import ensurepip\nensurepip.bootstrap()\n' >"$home/.ansible/test/cache/get_pip_${version//./_}.py"
done
cd "$copy"
version=$(python -c 'import sys; print("3.%d" % sys.version_info[1])')
HOME=$home ansible-test sanity --venv --python "$version" --color no "$@"
