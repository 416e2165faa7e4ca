# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
# The stages of `make test`, each of which can be run alone once `make venv` has been run.

.PHONY: test-lint test-unit test-exams test-matrix test-package test-sanity test-lab

test-lint: venv ## ruff, mypy strict, shellcheck, ansible-lint (production profile)
	@ruff check .
	ruff format --check .
	mypy -p ansible_collections.bulkhead.fleet.plugins.plugin_utils
	git ls-files -z '*.sh' | xargs -0 -r shellcheck
	ansible-lint --offline --profile production

test-unit: venv ## Unit tests, and golden files through the systems' own parsers
	@pytest tests/unit tests/oracles -n 2

test-exams: export FUZZ := 2000
test-exams: export DENIES := 100
test-exams: export HOSTS := 200
test-exams: export ROUNDS := 50
test-exams: export ROLLOUTS := 2000
test-exams: export WALKS := 2000
test-exams: export RACES := 0
test-exams: exam-determinism exam-hostile exam-input exam-approval exam-null-rollouts exam-bitflips exam-race \
	fuzz bench-compile ## The exams that need no host, the long ones short

.PHONY: exam-determinism exam-hostile exam-input
exam-determinism: venv ## Exam: lists in any order, compiled twice, give the same bytes on every system
	@python tests/exams/determinism.py

exam-hostile: venv ## Exam: no value of a policy adds a directive, rule, element or command
	@python tests/exams/hostile.py

exam-input: venv ## Exam: each bad policy gets a clear error, and nothing is written
	@python tests/exams/input.py

.PHONY: exam-approval exam-null-rollouts
exam-null-rollouts: venv ## Exam: ROLLOUTS=10000 simulated rollouts that change nothing, with a look after every poll, keep alpha
	@python tests/exams/null_rollouts.py

exam-approval: venv ## Exam: BAD=100 forged, replayed, expired and self-made approvals, none accepted
	@python tests/exams/approval.py

.PHONY: exam-bitflips exam-race
exam-bitflips: venv ## Exam: FLIPS=1000 bits of receipts, records and generations flipped, each told by its file or line
	@python tests/exams/bitflips.py

exam-race: venv ## Exam: confirm at the deadline: WALKS=10000 on the state machine, RACES=200 over ssh (needs a lab)
	@python tests/exams/race.py

.PHONY: fuzz bench-compile
fuzz: venv ## Exam: FUZZ=100000 policies of SEED=1: clear faults, or a bundle whose every line a clause accounts for
	@python tests/exams/fuzz.py

bench-compile: venv ## Benchmark: 1,000 hosts of five kinds, five compiles of at most 20 ms, Jinja2 beside them
	@python tests/bench/compile.py

test-matrix: venv ## Unit tests on every other supported Python of this machine
	@tests/setup/matrix.sh

test-package: venv ## Build the tarball, install it into an empty path, run from there
	@tests/setup/package.sh

test-sanity: venv ## ansible-test sanity on a copy of what is tracked
	@tests/setup/sanity.sh

test-lab: venv ## The short tests on real hosts (brings a lab of its own up and down again)
	@tests/setup/lab.sh tests/setup/on_lab.sh short

.PHONY: test-transaction
test-transaction: venv ## The host transaction, short, on containers: kills, faults, lockouts, races (needs root)
	@if [ "$$(id -u)" = 0 ]; then KIND=nspawn HOSTS=2 SUITES=bookworm,trixie tests/setup/lab.sh tests/setup/transaction.sh
	else echo "skipped: containers need root"; fi

.PHONY: test-lab-all
test-lab-all: venv ## All tests on real hosts: rollouts, transactions, proofs, the road; about an hour when emulated
	@tests/setup/lab.sh tests/setup/on_lab.sh all

.PHONY: exam-road
exam-road: venv ## Exam: every shipped policy on Debian 12 and 13, after a restart and after a reboot
	@tests/setup/lab.sh python tests/exams/road.py

.PHONY: exam-denials
exam-denials: venv ## Exam: forced denials on Debian 12 and 13 are named by their clause, and the proposed changes do it
	@tests/setup/lab.sh python tests/exams/denials.py

.PHONY: exam-audit
exam-audit: venv ## Exam: audit mode on Debian 12 and 13 blocks nothing and records what can be recorded
	@tests/setup/lab.sh python tests/exams/audit.py

.PHONY: exam-network
exam-network: venv ## Exam: what network clauses hold on Debian 12 and 13, seen from the other end
	@tests/setup/lab.sh python tests/exams/network.py

.PHONY: exam-verdicts
exam-verdicts: venv ## Exam: hosts that lack this or that; what verdicts claim against what an independent program can do
	@python tests/exams/verdicts.py

# These take the lab that is up (make lab-up), of either kind; exam-powercut wants KIND=qemu.
.PHONY: exam-kill exam-faults exam-lockout exam-powercut
exam-kill: venv ## Exam: module, guard and controller killed at each step that lasts (KILLS=500) on the hosts of the lab
	@python tests/exams/kill.py

exam-faults: venv ## Exam: full, read-only and damaged disks, other runs, dead guards, on the hosts of the lab
	@python tests/exams/faults.py

exam-lockout: venv ## Exam: a policy that cuts ssh, TRIALS=100 on the hosts of the lab: all come back in time
	@python tests/exams/lockout.py

exam-powercut: venv ## Exam: power cut at CUTS=300 random moments on the QEMU machines of the lab
	@python tests/exams/powercut.py

.PHONY: docs-support changelog
docs-support: venv ## Print docs/support.md from the backends' tables
	@PYTHONPATH=$(BUILD)/collections python tests/docs/support_matrix.py

changelog: venv ## Write CHANGELOG.rst from changelogs/fragments
	@tests/docs/changelog.sh

.PHONY: lock
lock: ## Renew the tested lock of this Python version
	@rm -rf $(BUILD)/lock
	$(PYTHON) -m venv $(BUILD)/lock
	$(BUILD)/lock/bin/pip install --quiet --requirement tests/requirements/requirements.in
	version=$$($(BUILD)/lock/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	{ echo "# Tested lock for Python $$version (made from requirements.in; make lock)"
	  $(BUILD)/lock/bin/pip freeze --exclude pip --exclude setuptools --exclude wheel; } > tests/requirements/py$${version/./}.txt

# On hosts that are files; with BULKHEAD_LAB_INVENTORY=build/lab/inventory.yml on the hosts of a lab.
.PHONY: exam-controller-kill exam-rollback exam-rollout-faults exam-bad-policies bench-scale
exam-controller-kill: venv ## Exam: HOSTS=4 the controller killed at every journaled step, and the ledger lost (FULL=1: by each signal)
	@python tests/exams/controller_kill.py

exam-rollback: venv ## Exam: HOSTS=20 a fleet goes back in 1.5 x the time of one host and 10 s, with 5 % out of reach
	@python tests/exams/rollback.py

exam-rollout-faults: venv ## Exam: each fault that a controller can meet, and where the hosts are after it (ONLY="names": some)
	@python tests/exams/rollout_faults.py

exam-bad-policies: venv ## Exam: BAD=40 bad policies on HOSTS=30 hosts, stopped at pilot or canary; GOOD=200 rollouts go through
	@python tests/exams/bad_policies.py

bench-scale: venv ## Benchmark: SIZES=100,1000,5000 what a rollout costs the controller per host, and how much memory
	@python tests/bench/scale.py

# Brings nspawn hosts of its own up (needs root) and down again.
.PHONY: bench
bench: venv ## Benchmark: HOSTS=10,30 nspawn hosts, ROUNDS=5: our way, plain ssh, a role, Mitogen, pyinfra in turns (DOCS=1)
	@tests/setup/packages.sh lab
	python tests/bench/converge.py
