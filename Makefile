# The chores of quiesce.  Each needs only Python 3.11 or newer, pip and make, and sets
# up the rest in virtual environments here.  `make PYTHON=... test` takes another Python,
# `make ARGS="-k timers" test-interpreted` hands arguments to the tests.

PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
DEMO := .venv
INTERPRETED := .venv-interpreted-$(VERSION)
COMPILED := .venv-compiled-$(VERSION)
LIBRARIES := .venv-libraries-$(VERSION)
SANITIZED := .venv-sanitized-$(VERSION)

SOURCES := $(shell find src -name '*.py' -o -name '*.pyi' -o -name '*.pxd' -o -name '*.h')
BUILD := pyproject.toml setup.py
STUBS := $(subst /,.,$(patsubst src/%.pyi,%,$(filter %.pyi,$(SOURCES))))
QUICK := not stress and not whole
# What keeps this Python from compiling quiesce; nothing if it can.
LACKING = $(shell $(PYTHON) tests/build/compiler.py)
EXTRA = $(shell $(PYTHON) -c 'import sys, tomllib; \
    project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
    print(*project["optional-dependencies"][sys.argv[1]])' $(1))

help:
	@echo 'make demo         crawl a web site on loopback with a few hundred tasks'
	@echo 'make test         lint, types, interpreted tests, compiled tests'
	@echo 'make lint types test-interpreted test-compiled     its four parts'
	@echo 'make test-libraries   aiohttp, uvicorn, asyncpg and others on our loop'
	@echo 'make exits-all    every way in which a program can end; make exits compares them'
	@echo 'make conformance  the tests of asyncio itself, on each Python found'
	@echo 'make bench        tasks beside asyncio, uvloop and others'
	@echo 'make bench-io     echo servers beside asyncio, uvloop and one in C'
	@echo 'make stress       minutes of signals, threads and broken connections'
	@echo 'make clean        remove what the others made'

demo: $(DEMO)/.ready
	@$(DEMO)/bin/python -c 'import quiesce; quiesce.COMPILED or print("quiesce is not", \
	    "compiled; QUIESCE_COMPILE=require pip install . says why")'
	$(DEMO)/bin/quiesce run examples/crawl.py $(ARGS)

test: lint types test-interpreted test-compiled

lint: $(INTERPRETED)/.ready
	$(INTERPRETED)/bin/ruff check .
	$(INTERPRETED)/bin/ruff format --check .
	$(INTERPRETED)/bin/lint-imports

types: $(INTERPRETED)/.ready
	$(INTERPRETED)/bin/pyright
	$(INTERPRETED)/bin/mypy
	$(INTERPRETED)/bin/stubtest --ignore-missing-stub $(STUBS)

test-interpreted: $(INTERPRETED)/.ready
	QUIESCE_EXPECT=interpreted $(INTERPRETED)/bin/python -m pytest -m '$(QUICK)' \
	  --ignore=tests/libraries $(ARGS)

# The installed wheel: what users get, and no edit can hide behind it.
test-compiled conformance-compiled:
	@if lacking=$$($(PYTHON) tests/build/compiler.py); then \
	    $(MAKE) --no-print-directory run-$@; \
	else echo "$@ SKIPPED: $$lacking"; fi

run-test-compiled: $(COMPILED)/.ready
	QUIESCE_EXPECT=compiled $(COMPILED)/bin/python -m pytest -m '$(QUICK) and not build' \
	  --ignore=tests/libraries $(ARGS)

test-libraries: $(LIBRARIES)/.ready
	QUIESCE_EXPECT=$(if $(LACKING),interpreted,compiled) \
	  $(LIBRARIES)/bin/python -m pytest $(ARGS) tests/libraries

# Status 3 says that this Python comes without the tests of asyncio.
run-conformance-compiled: $(COMPILED)/.ready
	$(COMPILED)/bin/python -m tests.conformance --require compiled --short || [ $$? = 3 ]

conformance-interpreted:
	PYTHONPATH=src $(PYTHON) -m tests.conformance --require interpreted --short \
	  || [ $$? = 3 ]

conformance:
	.ci/each-python conformance-compiled conformance-interpreted

stress: $(INTERPRETED)/.ready $(COMPILED)/.ready
	@if lacking=$$($(PYTHON) tests/stress/sanitizer.py); then \
	    $(MAKE) --no-print-directory $(SANITIZED)/.ready; \
	else echo "AddressSanitizer SKIPPED: $$lacking"; fi
	QUIESCE_EXPECT=interpreted $(INTERPRETED)/bin/python -m pytest -m stress $(ARGS)
	QUIESCE_EXPECT=compiled QUIESCE_SANITIZED=$(SANITIZED)/bin/python \
	  $(COMPILED)/bin/python -m pytest -m stress $(ARGS)

exits-all: $(INTERPRETED)/.ready $(COMPILED)/.ready
	QUIESCE_EXPECT=interpreted $(INTERPRETED)/bin/python -m pytest tests/programs/exits $(ARGS)
	QUIESCE_EXPECT=compiled $(COMPILED)/bin/python -m pytest tests/programs/exits $(ARGS)

# Beside asyncio and uvloop; writes docs/exits.md.
exits: $(COMPILED)/.ready
	$(COMPILED)/bin/python -m pip install --quiet --only-binary :all: uvloop
	$(COMPILED)/bin/python -m tests.programs.exits.table $(ARGS)

# A peer without a wheel for this Python is left out; the benchmark says so.
bench bench-io: $(COMPILED)/.ready
	grep -v '^#' benchmarks/requirements.txt | while read -r peer; do \
	    $(COMPILED)/bin/python -m pip install --quiet --only-binary :all: "$$peer"; done
	$(COMPILED)/bin/python benchmarks/$(if $(filter bench-io,$@),io,tasks).py $(ARGS)

clean:
	rm -rf .venv .venv-* build dist src/*.egg-info

# ------------------------------------------------------------------ virtual environments

# Debian's Python may lack ensurepip; then the pip outside fills the environment.
%/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "quiesce needs Python 3.11 or newer; try: make PYTHON=python3.13 ...")'
	@$(PYTHON) -m venv $(@D)/.. >/dev/null 2>&1 \
	  || { $(PYTHON) -m venv --clear --without-pip $(@D)/.. \
	       && $(PYTHON) -m pip --python $@ install --quiet pip; }

$(DEMO)/.ready: $(DEMO)/bin/python $(BUILD) $(SOURCES)
	$(DEMO)/bin/python -m pip install --quiet '.[examples]'
	@touch $@

# Editable, so that an edit needs no new install.
$(INTERPRETED)/.ready: $(INTERPRETED)/bin/python $(BUILD)
	QUIESCE_COMPILE=never $(INTERPRETED)/bin/python -m pip install --quiet -e '.[test,lint]'
	@touch $@

$(COMPILED)/.ready: $(COMPILED)/bin/python $(BUILD) $(SOURCES)
	QUIESCE_COMPILE=require $(COMPILED)/bin/python -m pip install --quiet '.[test]'
	@touch $@

# From a copy of the sources: what was built without the sanitizer must not be reused.
$(SANITIZED)/.ready: $(SANITIZED)/bin/python $(BUILD) $(SOURCES)
	@rm -rf $(@D)/source && mkdir $(@D)/source
	@cp -R src setup.py pyproject.toml README.md LICENSE $(@D)/source
	CFLAGS="-O1 -g -fsanitize=address -fno-omit-frame-pointer" \
	  LDFLAGS=-fsanitize=address QUIESCE_COMPILE=require \
	  $(SANITIZED)/bin/python -m pip install --quiet '$(@D)/source[test]'
	@touch $@

# One by one if all together fail: then the tests of only those that failed are skipped.
$(LIBRARIES)/.ready: $(LIBRARIES)/bin/python $(BUILD) $(SOURCES)
	QUIESCE_COMPILE=$(if $(LACKING),never,require) \
	  $(LIBRARIES)/bin/python -m pip install --quiet '.[test]'
	@install="$(LIBRARIES)/bin/python -m pip install --quiet --only-binary :all:"; \
	$$install $(call EXTRA,libraries) || for pin in $(call EXTRA,libraries); do \
	    $$install $$pin || echo "$$pin SKIPPED: pip found no wheel of it"; done
	@touch $@

.PHONY: help demo test lint types test-interpreted test-compiled run-test-compiled \
        test-libraries conformance conformance-compiled run-conformance-compiled \
        conformance-interpreted stress exits exits-all bench bench-io clean
.NOTPARALLEL:
