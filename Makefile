# What to type. The work is cargo's; .ci/deps brings what is missing, .ci/serve starts the server of `make run`.

.DEFAULT_GOAL := help
.PHONY: help run demo test test-fast lint test-examples storm build deps licences deb test-deb audit sbom bench bench-large bench-smoke \
	bench-engine callgrind profile

# As rustup's own env file does, for a shell that has not read it: before a distribution's older cargo.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

# Redis wants an absolute path, wherever cargo was told to build.
TARGET := $(if $(filter /%,$(CARGO_TARGET_DIR)),,$(CURDIR)/)$(or $(CARGO_TARGET_DIR),target)
MODULE := $(TARGET)/release/libauthlimit.$(if $(filter Darwin,$(shell uname -s)),dylib,so)

# Named as cargo-deb does.
DEB = $(TARGET)/debian/authlimit_$(VERSION)-1_$(shell dpkg --print-architecture).deb
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s  %s\n", $$1, $$2 }' Makefile

run: build ## start a Redis with the module: on port 6379, the next free one, or PORT=n
	@.ci/serve "$(MODULE)" $(PORT)

demo: build ## try passwords in a browser and watch the limiter: on port 8080, the next free one, or PORT=n
	cd examples/demo && CARGO_TARGET_DIR="$(TARGET)/examples" cargo build --locked
	@.ci/demo "$(MODULE)" "$(TARGET)/examples/debug/authlimit-demo" $(PORT)

# Most of the server tests wait for a server's timer most of the time.
export RUST_TEST_THREADS ?= $(shell expr 4 \* "$$(getconf _NPROCESSORS_ONLN)")

# The server tests load the library that people will load, not the unoptimised one of the test build.
test: lint ## check format and lints, then run all tests, those of a server on Redis 7.0 and 8 and Valkey 9
	cargo build --release --locked
	AUTHLIMIT_MODULE="$(MODULE)" tests/on-every-server

test-fast: lint ## the same on this machine's own server only
	cargo build --release --locked
	AUTHLIMIT_MODULE="$(MODULE)" cargo test --locked --no-fail-fast

lint: ## check format and lints
	@.ci/deps test
	cargo fmt --all --check
	cargo clippy --all-targets --locked -- -D warnings

test-examples: build ## check the examples and the demo, and attack them
	@.ci/deps examples
	EXAMPLES_TARGET="$(TARGET)/examples" .ci/examples "$(MODULE)"

storm: build ## 200000 random commands against every way of storing and replicating, as make test does with 20000
	AUTHLIMIT_STORM=200000 AUTHLIMIT_MODULE="$(MODULE)" cargo test --locked --test server storm

build: deps ## build the module, target/release/libauthlimit.so
	cargo build --release --locked

deps: ## install what is missing (Debian, Ubuntu), or say what to install
	@.ci/deps

licences: ## write the licences of the libraries in the module, target/release/third-party-licences.txt
	mkdir -p "$(TARGET)/release"
	"$$(.ci/tool cargo-about)" generate --locked --fail --config packaging/licences.toml \
		--output-file "$(TARGET)/release/third-party-licences.txt" packaging/licences.hbs

deb: build licences ## build the Debian package, target/debian/
	"$$(.ci/tool cargo-deb)" --no-build --locked --output "$(TARGET)/debian/"

test-deb: deb ## try the package in a fresh Debian 12 and 13 with their own Redis and Valkey; as root
	packaging/test-deb "$(DEB)" bookworm
	packaging/test-deb "$(DEB)" trixie

# The advisories are a git repository on GitHub. Where that cannot be reached: make audit CHECKS="bans licenses sources"
audit: ## check the dependencies: advisories, licences, bans and sources, by deny.toml
	"$$(.ci/tool cargo-deny)" --locked check $(or $(CHECKS),advisories bans licenses sources)

# cargo-cyclonedx writes beside Cargo.toml, and names the folder that it is run in, which is nobody's business.
sbom: ## list what the module is made of, target/authlimit.cdx.json (CycloneDX)
	"$$(.ci/tool cargo-cyclonedx)" cyclonedx --quiet --format json --spec-version 1.5 --override-filename authlimit.cdx
	mkdir -p "$(TARGET)"
	sed 's,path+file://$(CURDIR)#,,; s,?download_url=file://\.,,' authlimit.cdx.json > "$(TARGET)/authlimit.cdx.json"
	rm authlimit.cdx.json

# Of a server and a client on cores of their own, see bench/README.md.
bench: build ## measure the module against its peers, about 10 minutes: bench/results/
	AUTHLIMIT_MODULE="$(MODULE)" cargo bench --locked --bench server

bench-large: build ## the same with ten million addresses and emails, about 8 minutes, 8 GB of memory
	AUTHLIMIT_MODULE="$(MODULE)" cargo bench --locked --bench server -- large

bench-smoke: build ## see that the benchmarks still run, about 2 minutes
	AUTHLIMIT_MODULE="$(MODULE)" cargo bench --locked --bench server -- smoke
	cargo bench --locked --bench engine -- --test

bench-engine: build ## measure the engine without a server
	cargo bench --locked --bench engine

callgrind: deps ## count the instructions of a check
	@bench/callgrind

profile: deps ## count where the instructions of a check go in a real server
	@bench/profile
