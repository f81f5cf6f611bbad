# All commands of this repository; `make` lists them. cargo does the work; scripts/ has what cargo cannot do.

.DEFAULT_GOAL := help
# One after the other: cargo runs in parallel by itself, and what `deps` installs must be there before `build` starts.
.NOTPARALLEL:
.PHONY: help run demo test test-fast lint test-examples test-databases fold-table storm build deps licences deb \
	test-deb audit sbom bench bench-large bench-smoke bench-engine bench-lint callgrind profile fuzz fuzz-smoke sanitize miri

# As rustup's own env file does, for a shell that has not read it. Goes before a distribution's older cargo.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

# An absolute path, because Redis needs one.
TARGET_DIR := $(if $(filter /%,$(CARGO_TARGET_DIR)),,$(CURDIR)/)$(or $(CARGO_TARGET_DIR),target)
MODULE := $(TARGET_DIR)/release/libauthlimit.$(if $(filter Darwin,$(shell uname -s)),dylib,so)

# The name that cargo-deb gives the package.
DEB = $(TARGET_DIR)/debian/authlimit_$(VERSION)-1_$(shell dpkg --print-architecture).deb
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s  %s\n", $$1, $$2 }' Makefile

run: deps build ## start a Redis with the module, on port 6379, the next free port, or PORT=n
	@scripts/serve "$(MODULE)" $(PORT)

demo: deps build ## start a sign-in page that shows what the limiter does, on port 8080, the next free port, or PORT=n
	cd examples/demo && CARGO_TARGET_DIR="$(TARGET_DIR)/examples" cargo build --locked
	@scripts/demo "$(MODULE)" "$(TARGET_DIR)/examples/debug/authlimit-demo" $(PORT)

# Most of the server tests wait for a server's timer most of the time.
export RUST_TEST_THREADS ?= $(shell expr 4 \* "$$(getconf _NPROCESSORS_ONLN)")

# The server tests load the release build, as users do.
test: lint ## check format and lints, then run all tests, those of a server on Redis 7.0, Redis 8 and Valkey 9
	cargo build --release --locked
	AUTHLIMIT_MODULE="$(MODULE)" tests/on-every-server

test-fast: lint ## the same on this machine's own server only
	cargo build --release --locked
	AUTHLIMIT_MODULE="$(MODULE)" cargo test --locked --no-fail-fast

lint: ## check format and lints
	@scripts/deps test
	cargo fmt --all --check
	cargo clippy --all-targets --locked -- -D warnings

test-examples: build ## check the examples and the demo, and run attacks on them
	@scripts/deps examples
	EXAMPLES_TARGET="$(TARGET_DIR)/examples" scripts/test-examples "$(MODULE)"

# make test does the same with 5000 commands, and with 20000.
storm: deps build ## compare three servers with the model for 1000000 commands, and every way of storing for 200000, about 2 hours
	AUTHLIMIT_STORM=$(or $(COMMANDS),1000000) AUTHLIMIT_MODULE="$(MODULE)" \
		tests/on-every-server --test server against_model
	AUTHLIMIT_STORM=200000 AUTHLIMIT_MODULE="$(MODULE)" \
		tests/on-every-server --test server -- storm --skip against_model

# CONTRIBUTING.md describes the targets of fuzz/.
fuzz: ## fuzz a target, until it finds something or for some time: make fuzz TARGET=limiter [SECONDS=3600]
	@scripts/deps build
	@scripts/fuzz "$(TARGET)" $(SECONDS)

fuzz-smoke: ## lint the fuzz targets and run each for a minute, about 7 minutes with the build
	@scripts/deps build
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --manifest-path fuzz/Cargo.toml --target-dir "$(TARGET_DIR)/fuzz" --all-targets --locked -- -D warnings
	@scripts/fuzz smoke 60

sanitize: deps ## run the tests of the engine and of the server under AddressSanitizer, about 30 minutes
	@scripts/sanitize

# Miri is part of nightly toolchains: rustup toolchain install nightly --component miri. The tests are those next to the
# code of the layers without Redis; of random cases only a few, since Miri is some hundred times slower.
miri: ## run the tests of the engine's layers under Miri (needs a nightly toolchain with miri)
	@scripts/deps build
	MIRIFLAGS="-Zmiri-disable-isolation $(MIRIFLAGS)" PROPTEST_CASES=$(or $(PROPTEST_CASES),2) \
		cargo +$(or $(MIRI_TOOLCHAIN),nightly) miri test --locked --lib -- \
		identity:: policy:: table:: limiter:: format::

test-databases: ## test that what MariaDB, PostgreSQL and Python take for one email is one (Debian, Ubuntu)
	@scripts/deps databases
	cargo test --locked --test databases -- --ignored

fold-table: ## write src/identity/fold/table.in, what each character of an email is folded to (Debian, Ubuntu)
	@scripts/deps databases
	AUTHLIMIT_WRITE_FOLD_TABLE=1 cargo test --locked --test databases fold_table -- --ignored

build: ## build the module: target/release/libauthlimit.so
	@scripts/deps build
	cargo build --release --locked

deps: ## install what `make run` needs (Debian, Ubuntu), or print what to install
	@scripts/deps run

licences: ## write the licences of the libraries in the module: target/release/third-party-licences.txt
	mkdir -p "$(TARGET_DIR)/release"
	"$$(scripts/tool cargo-about)" generate --locked --fail --config packaging/licences.toml \
		--output-file "$(TARGET_DIR)/release/third-party-licences.txt" packaging/licences.hbs

deb: build licences ## build the Debian package: target/debian/
	"$$(scripts/tool cargo-deb)" --no-build --locked --output "$(TARGET_DIR)/debian/"

test-deb: deb ## test the package in a fresh Debian 12 and 13 with their own Redis and Valkey, as root
	packaging/test-deb "$(DEB)" bookworm
	packaging/test-deb "$(DEB)" trixie

# The advisories are a git repository on GitHub. Without access to it: make audit CHECKS="bans licenses sources"
audit: ## check the dependencies by deny.toml: advisories, licences, bans and sources
	"$$(scripts/tool cargo-deny)" --locked --workspace check $(or $(CHECKS),advisories bans licenses sources)

# cargo-cyclonedx writes a file beside each Cargo.toml, with the path of this folder in it, which sed removes.
sbom: ## list the libraries in the module: target/authlimit.cdx.json (CycloneDX)
	"$$(scripts/tool cargo-cyclonedx)" cyclonedx --quiet --format json --spec-version 1.5 --override-filename authlimit.cdx
	mkdir -p "$(TARGET_DIR)"
	sed 's,path+file://$(CURDIR)#,,; s,?download_url=file://\.,,' authlimit.cdx.json > "$(TARGET_DIR)/authlimit.cdx.json"
	rm authlimit.cdx.json bench/authlimit.cdx.json

# bench/README.md describes what these measure.
bench: deps build ## compare the module with other limiters on a real server, about 10 minutes: bench/results/
	AUTHLIMIT_MODULE="$(MODULE)" cargo bench --locked --package authlimit-bench --bench server

bench-large: deps build ## measure up to ten million addresses and emails, about 8 minutes, 8 GB of memory
	AUTHLIMIT_MODULE="$(MODULE)" cargo bench --locked --package authlimit-bench --bench server -- large

bench-smoke: deps build ## test that the benchmarks run, about 2 minutes
	AUTHLIMIT_MODULE="$(MODULE)" cargo bench --locked --package authlimit-bench --bench server -- smoke
	cargo bench --locked --package authlimit-bench --bench engine -- --test

bench-engine: ## measure the engine without a server, about 2 minutes
	@scripts/deps build
	cargo bench --locked --package authlimit-bench --bench engine

# make test lints the module and its tests only, so that nobody builds the dependencies of the benchmarks for them.
bench-lint: ## lint the benchmarks
	@scripts/deps build
	cargo clippy --package authlimit-bench --no-deps --all-targets --locked -- -D warnings

callgrind: ## count the instructions of one CHECK in the engine (needs valgrind)
	@scripts/deps build
	@bench/callgrind

profile: deps ## count where the instructions of one CHECK go in a real server (needs valgrind)
	@bench/profile
