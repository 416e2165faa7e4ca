# SPDX-License-Identifier: GPL-3.0-or-later
# The lab: make lab-up HOSTS=3 KIND=qemu SUITES=bookworm,trixie; make lab-down; make lab-status
VENV ?= build/venv
HOSTS ?= 3
KIND ?= qemu
SUITES ?= bookworm,bookworm,trixie
LAB_DIR ?= $(CURDIR)/build/lab
LAB_CACHE ?= $(CURDIR)/build/lab/img
# First of 100 local ports; 0 derives them from the folder
LAB_PORT_BASE ?= 0
LAB_PLAYBOOK = $(VENV)/bin/ansible-playbook -i localhost, playbooks/lab.yml -e lab_dir=$(LAB_DIR) -e lab_cache_dir=$(LAB_CACHE) \
  -e lab_port_base=$(LAB_PORT_BASE)
comma := ,

.PHONY: lab-up lab-down lab-status

# ansible.builtin.command hides its output: the lab's log shows it meanwhile
lab-up: ## Lab hosts: HOSTS=3 KIND=qemu|nspawn SUITES=bookworm,trixie
	@mkdir -p $(LAB_DIR) && touch $(LAB_DIR)/lab.log; \
	tail -q -n 0 -f --pid=$$$$ $(LAB_DIR)/lab.log & trap "kill $$! 2>/dev/null || true" EXIT; \
	$(LAB_PLAYBOOK) -e lab_state=present -e lab_hosts=$(HOSTS) -e lab_kind=$(KIND) \
	  -e '{"lab_suites": ["$(subst $(comma),"$(comma)",$(SUITES))"]}'

lab-down: ## Stop the lab and remove all but its cache (PURGE=1: that, too)
	@$(LAB_PLAYBOOK) -e lab_state=absent $(if $(PURGE),-e lab_purge=true)

lab-status: ## Which lab hosts there are, and which run
	@$(VENV)/bin/python -B roles/lab/files/bulkhead_lab --dir $(LAB_DIR) --cache $(LAB_CACHE) status
