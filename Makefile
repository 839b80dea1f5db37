# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything a contributor or CI runs. `make help` lists it. Nothing is written into the checkout but $(BUILD).

# Staged copies, logs and results.
BUILD ?= .build
# Virtual environments, dependencies, root file systems: kept between runs, outside the checkout.
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/container-checkpoint
export BUILD CACHE

GATE := tests/gate
# In the order in which they start, two at a time: the long ones first, so that both ends are reached together.
PARTS := e2e molecule roles-handler integration units sanity sanity-floor lint unit

.DEFAULT_GOAL := help
.PHONY: help deps collection venv venv-controller venv-floor pythons unit lint sanity sanity-floor units integration molecule e2e e2e-floor roles handler roles-handler handler-old demo predictions test-vm bench test clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

deps: ## install the Debian or Ubuntu packages that the lab and the tests need (root)
	@$(GATE)/deps.sh

collection: ## put the collection and its dependencies under $(BUILD)/ansible_collections
	@$(GATE)/stage.sh

venv: venv-controller venv-floor pythons ## make the virtual environments, find or unpack the Pythons to test on

venv-controller:
	@$(GATE)/venv.sh controller

venv-floor:
	@$(GATE)/venv.sh floor

pythons:
	@$(GATE)/pythons.sh

unit: ## unit tests, the inner loop (under a minute)
	@$(GATE)/unit.sh

lint: ## ansible-lint, yamllint, shellcheck, documentation, changelog, licences, the built artefact
	@$(GATE)/lint.sh

sanity: ## ansible-test sanity on the newest ansible-core
	@$(GATE)/sanity.sh controller

sanity-floor: ## ansible-test sanity on ansible-core 2.17
	@$(GATE)/sanity.sh floor

units: ## ansible-test units on the oldest and the newest Python found
	@$(GATE)/units.sh

integration: ## ansible-test integration: every module against real sockets and files (root)
	@$(GATE)/integration.sh

handler: ## the restore handler on nodes with containerd 2.1, and below a double of CRI-O (root)
	@LAB_NAME=$${LAB_NAME:-handler} $(GATE)/e2e.sh handler

roles-handler: ## roles, then handler, in one lab: so they run in make test (root)
	@LAB_NAME=$${LAB_NAME:-roles} $(GATE)/e2e.sh roles handler

handler-old: ## the same on a node with containerd 1.7, whose CRI cannot restore (root; not part of make test)
	@LAB_NAME=$${LAB_NAME:-handler} $(GATE)/e2e.sh handler_trixie

molecule: ## the roles on real systemd nodes (root)
	@$(GATE)/molecule.sh

e2e: ## the demonstration, the main path with its faults, and the lab, with the real containerd, runc and CRIU (root)
	@$(GATE)/e2e.sh

roles: ## the roles that set a cluster up, on two nodes with the doubles of kubelet and API server (root)
	@LAB_NAME=$${LAB_NAME:-roles} $(GATE)/e2e.sh roles

e2e-floor: ## the path with its faults and the roles that set a cluster up, on ansible-core 2.17 (root; not part of make test)
	@GATE_VENV=floor-run LAB_NAME=$${LAB_NAME:-floor} $(GATE)/e2e.sh nodes roles

demo: ## a live counter moves between two nodes (root); with KUBECONFIG, INVENTORY and REGISTRY on your own cluster
	@tests/lab/demo/run

predictions: ## every workload and some at random: what pod_preflight says against what CRIU does, into the guide (root; half an hour)
	@$(GATE)/predictions.sh

test-vm: ## the roles and the restore handler in virtual machines: kernel upgrade, modules, cgroup v2 (root; not part of make test)
	@$(GATE)/vm.sh

bench: ## the measurements, side by side with what people use today (root)
	@$(GATE)/bench.sh

test: deps ## lint, sanity, unit, units, integration, molecule, e2e, roles and handler; what CI runs
	@$(MAKE) --no-print-directory -j 2 venv
	@python3 $(GATE)/run.py $(BUILD)/logs $(PARTS)

clean: ## remove $(BUILD); the cache stays
	rm -rf $(BUILD)
