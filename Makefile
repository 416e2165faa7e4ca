# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Two commands are all that a newcomer needs: `make demo` and `make test`. `make help` lists the rest.
# Everything that is made lies in build/; `make clean` removes it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= python3
ROOT := $(CURDIR)
BUILD := $(ROOT)/build
VENV := $(BUILD)/venv
BIN := $(VENV)/bin
COLLECTION := $(BUILD)/collections/ansible_collections/bulkhead/fleet

# Nothing outside of the build folder: caches, Ansible's home, temporary files of pip and of the tools.
export ANSIBLE_HOME := $(BUILD)/ansible
export ANSIBLE_CONFIG := $(ROOT)/ansible.cfg
export PIP_CACHE_DIR := $(BUILD)/cache/pip
export XDG_CACHE_HOME := $(BUILD)/cache
export PYTHONDONTWRITEBYTECODE := 1
export HYPOTHESIS_STORAGE_DIRECTORY := $(BUILD)/hypothesis
export PATH := $(BIN):$(PATH)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: ## Virtual environment and the link that makes the checkout a collection
	@tests/setup/packages.sh base
	tests/setup/venv.sh $(VENV) $(PYTHON)

.PHONY: demo
demo: ## A lab fleet, a policy in stages, a faulty one caught and rolled back, the report
	@tests/setup/packages.sh lab
	# The first Debian tree takes a minute: it is built while the virtual environment is made.
	$(PYTHON) -B roles/lab/files/bulkhead_lab --dir $(LAB_DIR) --cache $(LAB_CACHE) tree --suites "$${SUITES:-bookworm}" >/dev/null & tree=$$!
	tests/setup/venv.sh $(VENV) $(PYTHON)
	wait "$$tree"
	tests/demo/demo.sh

.PHONY: test
test: ## All tests: static checks, unit, oracles, exams, package, sanity, real lab hosts
	@tests/setup/packages.sh test
	tests/setup/venv.sh $(VENV) $(PYTHON)
	tests/setup/stages.sh lint unit exams matrix package sanity transaction lab

include tests/tests.mk
include roles/lab/lab.mk

.PHONY: clean
clean: ## Stop the lab and remove the build folder
	@if [ -x $(BIN)/ansible-playbook ]; then $(MAKE) --no-print-directory lab-down; fi
	rm -rf $(BUILD)
