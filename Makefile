# Each target does all of its own set-up, on a fresh clone too: a virtual environment in .venv and an editable install,
# made again when the packaging or the native sources change. Another interpreter: make test PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO := cargo
MANIFEST := --manifest-path native/Cargo.toml
FOUND := $(shell $(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null)
NATIVE := $(shell find native \( -name target -o -name fuzz \) -prune -o -type f \( -name '*.rs' -o -name '*.toml' -o -name 'Cargo.lock' \) -print)
# What the tests need holds what the demo needs.
DEMO := $(if $(wildcard $(VENV)/test.installed),test,demo)
SAMPLES := $(basename $(notdir $(shell grep -l __main__ samples/*.py)))
PACKAGING := pyproject.toml setup.cfg setup.py
# What is installed, by version and hash: `make lock` renews it, by the settings of pyproject.toml.
LOCKS := requirements
UV := .uv/bin/uv
COMPILE := $(UV) pip compile --quiet --upgrade --constraints $(LOCKS)/held.txt
BARE := triton legacy speech encoder economics cross browser
# Seconds for which `make fuzz` runs each of the targets, or of those that TARGETS names; `make check` shares a minute.
FUZZ := $(CARGO) +nightly fuzz
FUZZ_SECONDS ?= 60
TARGETS ?= $(basename $(notdir $(wildcard native/fuzz/fuzz_targets/*.rs)))
# Each runs the module of benchmarks/ that is named after it.
BENCHES := bench-compose bench-hedging bench-opening bench-calibration bench-scoring bench-broker bench-economics
# What `make wheels` builds with, and the environments that it tries wheels in.
TOOLS := .wheels
# Set by `make test-latest`: the newest of everything in place of the lock.
LATEST :=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A Rust that was brought here, since the machine has none, comes first (building/toolchain.py).
export PATH := $(CURDIR)/.rust/bin:$(PATH)
RUST = @$(PYTHON) -B -m building.toolchain

.PHONY: help demo sample test test-latest attack check fuzz fuzz-shortly deny advisories bench bench-hedge $(BENCHES) soak matrix site site-shortly lock wheels cross cross-test clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo    train two digit classifiers, serve one, compose both and compare'
	@echo 'make sample  one of the samples: make sample NAME=side_by_side'
	@echo 'make test    every test, native and Python, the real Triton server included'
	@echo 'make test-latest  the same tests with the newest release of every package, in place of the locked ones'
	@echo 'make attack  the tests that take longer: hostile servers, files and moments'
	@echo 'make check   formatting, lint and types of the Python and the Rust code'
	@echo 'make fuzz    each fuzz target for FUZZ_SECONDS (60); needs a nightly Rust and cargo-fuzz. One of them: make fuzz TARGETS=http1'
	@echo 'make advisories  what is known of the packages that we build from and test with; needs cargo-deny and the network'
	@echo 'make bench   our operator against the official clients: the real Triton server and servers on loopback'
	@echo 'make bench-compose  our composing against onnx.compose; needs 16 GB of disk for a while'
	@echo 'make bench-hedge  second requests beside slow ones: two servers on loopback, one of them slow on 2 % of its calls'
	@echo 'make bench-opening  our opening of a file against ONNX Runtime alone'
	@echo 'make bench-calibration  what calibrating costs beside its calls, and a million rows in memory'
	@echo 'make bench-scoring  two million rows scored, beside a loop written by hand'
	@echo 'make bench-broker  what a thousand workers of a cluster cost at the broker of limits, by simulation'
	@echo 'make bench-economics  what judges save on texts of Reuters and 20 Newsgroups; writes docs/economics.md'
	@echo 'make soak    200 000 calls, some of which fail: nothing grows; then one of two servers dies under load, and no call is lost'
	@echo 'make matrix  every release of ONNX Runtime that counts: what each loads and gives, and whether validate says so; 5 to 10 minutes'
	@echo 'make wheels  a wheel that installs without Rust, checked, and tried on each Python that is found'
	@echo 'make cross   wheels for Linux on arm64 and for Windows'
	@echo 'make cross-test  a set of hybrids with the libraries of these wheels, under qemu and Wine; needs Debian'"'"'s packages'
	@echo 'make site    the documents as a site, in build/site; needs Python 3.11'
	@echo 'make lock    renew the locked versions of what demo and tests install'
	@echo 'make clean   remove all that the others made'

demo: $(VENV)/$(DEMO).installed
	@$(BIN)/python samples/digits.py

sample: $(VENV)/$(DEMO).installed
	@test -f 'samples/$(NAME).py' || { echo 'name one of: $(SAMPLES); as in make sample NAME=side_by_side'; exit 1; }
	@$(BIN)/python 'samples/$(NAME).py'

test: $(VENV)/test.installed
	$(CARGO) test --locked $(MANIFEST)
	$(BIN)/python -m pytest

test-latest:
	rm -f .latest/test.installed
	$(MAKE) test VENV=.latest LATEST=yes

attack: $(VENV)/test.installed
	$(BIN)/python -m pytest -m attack

check: $(VENV)/test.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(RUST) clippy rustfmt
	$(CARGO) fmt --check $(MANIFEST)
	$(CARGO) clippy --locked --all-targets $(MANIFEST) -- -D warnings
	@$(MAKE) --no-print-directory deny fuzz-shortly site-shortly

# Seeds are read, and what is found beside them is kept in native/fuzz/corpus; an input that fails, in native/fuzz/artifacts.
fuzz:
	@for target in $(TARGETS); do \
		echo "fuzzing $$target for $(FUZZ_SECONDS) s"; mkdir -p native/fuzz/corpus/$$target; \
		(cd native && $(FUZZ) run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=20 -verbosity=0) || exit 1; \
	done

# A clean machine has neither a nightly compiler nor these tools, and need not: the checks above are what a change must pass.
fuzz-shortly:
	@if $(FUZZ) --version >/dev/null 2>&1; then $(MAKE) --no-print-directory fuzz FUZZ_SECONDS=5; \
	else echo 'not fuzzed: that takes a nightly Rust and cargo-fuzz (rustup toolchain install nightly; cargo install cargo-fuzz)'; fi

deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then cd native && $(CARGO) deny --locked check bans licenses sources; \
	else echo 'licences and sources of the crates are not checked: that takes cargo-deny (cargo install cargo-deny)'; fi

advisories:
	cd native && $(CARGO) deny --locked check advisories
	$(PYTHON) -m venv .audit
	.audit/bin/python -m pip install --quiet --upgrade pip-audit
	for name in $(basename $(notdir $(wildcard $(LOCKS)/*.txt))); do \
		grep -q -- --hash $(LOCKS)/$$name.txt || continue; \
		.audit/bin/pip-audit --progress-spinner off --disable-pip --require-hashes --requirement $(LOCKS)/$$name.txt || exit 1; \
	done

bench: $(VENV)/test.installed
	@$(BIN)/python -m benchmarks.remote

$(BENCHES): bench-%: $(VENV)/test.installed
	@$(BIN)/python -m benchmarks.$*

bench-hedge: bench-hedging

soak: $(VENV)/test.installed
	@$(BIN)/python -m benchmarks.soak
	@$(BIN)/python -m benchmarks.failover

# Releases of onnxruntime lie in .corpus/runtimes/, from the package index; the table goes into docs/platforms.md.
matrix: $(VENV)/test.installed
	@$(BIN)/python -m benchmarks.matrix

wheels: $(TOOLS)/tools-$(FOUND)
	$(RUST)
	@$(TOOLS)/bin/python -m building x86-64

cross: $(TOOLS)/tools-$(FOUND)
	$(RUST)
	@$(TOOLS)/bin/python -m building arm64 windows

cross-test: cross $(VENV)/test.installed
	@$(TOOLS)/bin/python -m building.emulated $(BIN)/python arm64 windows

# An environment of its own: what builds the site asks for nothing that onnxhybrid needs, and reads docstrings from the sources.
site: .site/site.installed
	@.site/bin/python -m docs.site
	@echo 'build/site/index.html'

site-shortly:
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then $(MAKE) --no-print-directory site; \
	else echo 'the site is not built: that takes Python 3.11, and $(PYTHON) is $(FOUND)'; fi

.site/site.installed: $(LOCKS)/site.txt
	@$(PYTHON) -m venv --clear .site
	@.site/bin/python -m pip install --quiet --no-deps --require-hashes --requirement $<
	@touch $@

# What stands alone in its folder is installed without what it asks for.
lock:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --upgrade uv
	$(COMPILE) --extra test setup.cfg $(LOCKS)/build.in --output-file $(LOCKS)/test.txt
	$(COMPILE) --extra demo setup.cfg $(LOCKS)/build.in --constraints $(LOCKS)/test.txt --output-file $(LOCKS)/demo.txt
	$(COMPILE) --excludes $(LOCKS)/excluded.txt $(LOCKS)/azureml.in --output-file $(LOCKS)/azureml.txt
	$(COMPILE) $(LOCKS)/mlflow.in --output-file $(LOCKS)/mlflow.txt
	$(COMPILE) $(LOCKS)/mlserver.in --output-file $(LOCKS)/mlserver.txt
	$(COMPILE) $(LOCKS)/ray.in --constraints $(LOCKS)/test.txt --output-file $(LOCKS)/ray.txt
	$(COMPILE) $(LOCKS)/signing.in --output-file $(LOCKS)/signing.txt
	$(COMPILE) $(LOCKS)/toolchain.in --output-file $(LOCKS)/toolchain.txt
	$(COMPILE) $(LOCKS)/wheels.in --output-file $(LOCKS)/wheels.txt
	$(COMPILE) --extra cli --extra endpoint --extra testing setup.cfg $(LOCKS)/installed.in \
		--constraints $(LOCKS)/test.txt --output-file $(LOCKS)/installed.txt
	$(COMPILE) --python-version 3.11 $(LOCKS)/site.in --output-file $(LOCKS)/site.txt
	for name in $(BARE); do $(COMPILE) --no-deps $(LOCKS)/$$name.in --output-file $(LOCKS)/$$name.txt || exit 1; done

clean:
	rm -rf $(VENV) .latest .uv .audit .browser .triton .azureml .mlflow .mlserver .ray .corpus .legacy .encoder .texts .signing .java .c .go .crates .rust .cross $(TOOLS) .site build dist *.egg-info native/target native/fuzz/target native/fuzz/corpus native/fuzz/artifacts onnxhybrid/lib
	rm -rf bindings/node/node_modules bindings/node/native/target bindings/node/onnxhybrid.node*
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find benchmarks building onnxhybrid samples tests -name __pycache__ -prune -exec rm -rf {} +

# The interpreter's version is part of the name: another PYTHON makes the environment anew.
$(VENV)/python-$(FOUND):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
		{ echo 'onnxhybrid needs Python 3.10 or later, and $(PYTHON) is $(or $(FOUND),not there): name one, as in make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo 'onnxhybrid needs the venv module of $(PYTHON): install it (on Debian and Ubuntu: apt install python3-venv)'; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(TOOLS)/tools-$(FOUND): $(LOCKS)/wheels.txt
	@$(PYTHON) -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --no-deps --require-hashes --requirement $(LOCKS)/wheels.txt
	@touch $@

$(VENV)/%.installed: $(VENV)/python-$(FOUND) $(PACKAGING) $(LOCKS)/%.txt $(NATIVE)
	$(RUST)
	@echo 'building the native library and installing what "$*" needs (the first time takes some minutes)'
ifdef LATEST
	@$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable '.[$*]'
else
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement $(LOCKS)/$*.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endif
	@touch $@
