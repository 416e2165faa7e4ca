#!/bin/bash
# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Run the unit tests on every other supported Python that this machine has; say which ones it lacks.
set -eu
own=$(build/venv/bin/python -c 'import sys; print("3.%d" % sys.version_info[1])')
for version in 3.11 3.12 3.13 3.14; do
  [ "$version" != "$own" ] || continue
  python=
  for candidate in "python$version" "$HOME"/.pyenv/versions/"$version".*/bin/python; do
    if "$candidate" -c "import sys, venv; sys.exit('3.%d' % sys.version_info[1] != '$version')" 2>/dev/null; then
      python=$candidate
      break
    fi
  done
  [ -n "$python" ] || { echo "Python $version is not on this machine: not tested"; continue; }
  tests/setup/venv.sh "build/venv-$version" "$python"
  core=$("build/venv-$version/bin/python" -c 'import importlib.metadata as m; print(m.version("ansible-core"))')
  echo "Python $version with ansible-core $core"
  PATH=$PWD/build/venv-$version/bin:$PATH "build/venv-$version/bin/pytest" tests/unit -n 2
done
