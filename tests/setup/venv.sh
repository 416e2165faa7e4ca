#!/bin/sh
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Make the virtual environment of the project and the link through which the checkout is a collection.
# Usage: venv.sh FOLDER [PYTHON]
# The tested lock of the interpreter's version is used; requirements.in holds the ranges.
set -eu

folder=$1
python=${2:-python3}
here=$(dirname "$(readlink -f "$0")")
root=$(dirname "$(dirname "$here")")

link=$root/build/collections/ansible_collections/bulkhead/fleet
mkdir -p "$(dirname "$link")"
[ -e "$link" ] || ln -s ../../../.. "$link"

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case $version in
  3.11 | 3.12 | 3.13 | 3.14) ;;
  *) echo "Python 3.11 to 3.14 is needed, $python is version $version: make PYTHON=/path/to/python3" >&2; exit 1 ;;
esac
lock=$root/tests/requirements/py${version%.*}${version#*.}.txt
[ -e "$lock" ] || { echo "No tested lock for Python $version; using the ranges."; lock=$root/tests/requirements/requirements.in; }

stamp=$folder/.installed
if [ -e "$stamp" ] && cmp -s "$lock" "$stamp"; then exit 0; fi
echo "Making the virtual environment $folder (Python $version)"
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
PIP_CACHE_DIR=$root/build/cache/pip "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$lock"
cp "$lock" "$stamp"
