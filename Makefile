# SPDX-License-Identifier: GPL-2.0-or-later
# make demo: what reviewbot says about the series in tests/data; make test: what a change must pass

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check

MSGID := 20260914081200.1234-1-mara@example.org
MBOX := tests/data/example.mbox
# for bench and corpus: an unpacked kernel (Debian's linux-source-6.12), and the same put under git
LINUX ?=
LINUX_GIT ?=

.PHONY: demo test man bench corpus clean

# 1 means that there were findings, which is what a demonstration is for; anything else is a failure
demo: $(VENV)/.installed
	@echo '$$ reviewbot lore $(MSGID) -m $(MBOX)'
	@$(BIN)/reviewbot lore $(MSGID) -m $(MBOX) || test $$? -eq 1
	@echo
	@echo '$$ reviewbot reply $(MSGID) -m $(MBOX) -P 3'
	@$(BIN)/reviewbot reply $(MSGID) -m $(MBOX) -P 3

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy --strict
	$(BIN)/python -m pytest -q

# build/reviewbot.1, from the same source as --help
man: $(VENV)/.installed
	@mkdir -p build
	$(BIN)/reviewbot --print-man >build/reviewbot.1

# the archive and the labelled mails are real mail and not in this repository: REVIEWBOT_CORPUS says where they are
bench: $(VENV)/.installed-dev
	$(BIN)/python tests/bench/startup.py
	$(BIN)/python tests/bench/archive.py
	$(BIN)/python tests/bench/lore.py
	$(BIN)/python tests/bench/diff.py
	$(BIN)/python tests/bench/index.py
	$(BIN)/python tests/bench/limits.py
	$(if $(LINUX),$(BIN)/python tests/bench/checkpatch.py --linux $(LINUX))
	$(if $(LINUX_GIT),$(BIN)/python tests/bench/tree.py --git $(LINUX_GIT))
	$(if $(LINUX_GIT),$(BIN)/python tests/bench/check.py --linux $(LINUX_GIT) $(if $(LINUX),--source $(LINUX)))

corpus: $(VENV)/.installed-dev
	$(BIN)/python tests/bench/corpus.py
	$(BIN)/python tests/bench/hits.py $(if $(LINUX),--linux $(LINUX))
	$(BIN)/python tests/bench/series.py

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find reviewbot checks templates tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.installed
