#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: policy_sign
short_description: Sign a policy as its author
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Resolves the policy with its baselines and the addresses of its groups, and signs its digest with C(ssh-keygen
    -Y sign).
  - >-
    A rollout whose file of approvers has C(sign_policies) looks for the signature beside the policy's file
    (C(nginx.yml.sig)) and in C(signatures) beside the file of allowed signers (C(nginx.sig)).
options:
  policy:
    description:
      - Name of the policy, or the path of its file.
    type: str
    required: true
  policies_dirs:
    description:
      - Directories to search for policies and baselines before those of the collection.
    type: list
    elements: path
    default: []
  key:
    description:
      - The author's ssh key.
    type: path
    required: true
  signature:
    description:
      - File to write.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description:
      - Signs nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Sign
  bulkhead.fleet.policy_sign:
    policy: policies/nginx.yml
    key: ~/.ssh/id_ed25519
    signature: policies/nginx.yml.sig
"""

RETURN = r"""
digest:
  description:
    - Digest of the resolved policy.
  returned: success
  type: str
signed:
  description:
    - What was signed.
  returned: success
  type: list
  elements: str
"""
