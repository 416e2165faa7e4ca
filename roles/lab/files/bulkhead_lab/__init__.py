# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of real Debian hosts: QEMU machines and nspawn hosts, from Debian packages alone."""
