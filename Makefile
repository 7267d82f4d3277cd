# Everything a person does with a checkout. `make` alone lists it.
PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
# One profile for demo, test, clippy and documentation: libtorch's bindings take four minutes to compile for each.
PROFILE := --release

.DEFAULT_GOAL := help
.PHONY: help prerequisites libtorch build demo test test-all torture fuzz test-pytorch test-clinicadl bench bench-all bench-gpu fmt lint install deb package-test clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

prerequisites:
	@scripts/prerequisites

libtorch: prerequisites ## Fetch libtorch into ./libtorch, unless LIBTORCH names one
	@scripts/libtorch

build: libtorch ## Build the three programs into target/release
	$(CARGO) build $(PROFILE) --bins

demo: build ## Run a small search of six jobs on synthetic images and print its tables
	@scripts/demo

# The integration suite comes last, so that its own line closes the output.
test: build ## Run every test
	$(CARGO) test $(PROFILE) --doc
	$(CARGO) test $(PROFILE) --no-fail-fast --lib --bins --tests

test-all: export NEUROSEARCH_TEST_ALL = 1
test-all: test ## Run every test, and count one that an absent program skips as a failure

torture: build ## Run the fault suite with its long counts, for about an hour, and print its figures
	@scripts/torture $(PROFILE)

fuzz: ## Fuzz the readers of untrusted files and requests, ten million executions (`cargo install cargo-fuzz` first)
	@scripts/fuzz

test-pytorch: build ## Hold what the trainer writes against PyTorch itself (about 5 GB on disk, for PyTorch)
	@scripts/test-pytorch

test-clinicadl: build ## Train from what ClinicaDL 1.6.1 itself wrote, and from the same under the names of 0.2.2 (about 7 GB on disk)
	@scripts/test-clinicadl

# STAGES names what to measure: basics, answers, growth (these three where nothing is named), jobs, data, tiny, many, or all.
bench: build ## Measure, and print the figures as a table (ten minutes)
	$(CARGO) bench --profile release --bench figures -- $(STAGES)

bench-all: STAGES = all
bench-all: bench ## Measure everything: whole jobs, 100,000 folders, events by the thousand (an hour)

bench-gpu: build ## Measure training on this machine's GPU in each precision (some minutes)
	@benches/gpu

fmt: ## Format the source
	$(CARGO) fmt

lint: libtorch ## Check the format, clippy's lints and the documentation, as CI does
	$(CARGO) fmt --check
	$(CARGO) clippy $(PROFILE) --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(PROFILE) --no-deps --document-private-items

install: build ## Install under $(DESTDIR)$(PREFIX): programs, libtorch, manual, completions, units
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' scripts/install

deb: libtorch ## Build the Debian packages neurosearch and neurosearch-libtorch into target/debian
	@scripts/deb

package-test: libtorch ## Install, upgrade and remove the packages in a clean Debian that systemd boots (as root)
	@scripts/package-test

clean: ## Remove what was built; ./libtorch stays, since it is long to fetch
	$(CARGO) clean
