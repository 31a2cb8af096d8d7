# kioskd: build, demo, tests. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

# hraban/opus would want libopusfile for a reader that nobody here uses.
export GOFLAGS := -tags=nolibopusfile -buildvcs=false
PROGRAMS := kioskd kioskctl kioskscreen clinicsim fakecam demo
PACKAGES := gcc g++ libc6-dev pkg-config libvpx-dev libopus-dev libasound2-dev \
	libjpeg62-turbo-dev libyuv-dev chromium libasound2-plugins pulseaudio pulseaudio-utils \
	ca-certificates curl iproute2 v4l-utils
# What bench holds us against, and decodes with.
BENCH_PACKAGES := gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
# What vm fetches its machine with, and emulates it.
VM_PACKAGES := qemu-system-x86 mmdebstrap e2fsprogs
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Tests that need private device folders, namespaces or other users: as root.
ROOT_TESTS := ./capture/camera/... ./cmd/fakecam/... ./cmd/kioskctl ./daemon/api/... ./daemon/client \
	./daemon/devices ./daemon/privacy ./daemon/network ./daemon/e2e ./store
# Tests with deadlines of media in them run one package at a time: the others
# would take the two cores away.
MEDIA_TESTS := ./capture/encode ./capture/microphone/... ./capture/soundcard/... ./capture/speaker ./cmd/clinicsim/sim ./cmd/kioskscreen ./daemon \
	./daemon/call ./daemon/room/... ./daemon/e2e/stage ./systemd/vm/farside

# Root is needed for apt, for the fake camera's namespace and for the tests that
# use it; everything else runs as the caller.
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo,)
AS_ROOT := $(if $(SUDO),-exec 'sudo -E env PATH=$(PATH) KIOSKD_BIN=$(CURDIR)/bin',)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

setup: ## install what is missing, with apt
	@missing=$$(for p in $(PACKAGES) $(MORE_PACKAGES); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "installing:" $$missing; $(SUDO) apt-get -qq update && \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null; fi

build: setup ## build the programs into bin/
	@mkdir -p bin
	go build -trimpath -o bin/ $(PROGRAMS:%=./cmd/%)

demo: build ## a whole call on this machine; CHECK=1 drives both pages and judges it
	$(SUDO) bin/demo $(if $(CHECK),-check)

test: build ## all tests, with the race detector
	go build -race ./...
	go test -race -timeout 5m $$(go list ./... | grep -vxF "$$(go list $(ROOT_TESTS) $(MEDIA_TESTS))")
	KIOSKD_BIN=$(CURDIR)/bin go test -race -p 1 -timeout 5m $(MEDIA_TESTS)
	KIOSKD_BIN=$(CURDIR)/bin go test -race -p 1 -timeout 12m $(AS_ROOT) $(ROOT_TESTS)

# Rows of the screen's contract, each with the seconds it took.
ROWS := Test(Elements|States|Validations|Actions|WhatFollows|Restarts)

rows: build ## each row of the screen's contract, played with the real programs
	KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 12m $(AS_ROOT) -run '^$(ROWS)$$' ./daemon/e2e | awk -f daemon/e2e/rows.awk

figures: build ## kill -9 and camera swap, 20 times each, and a page that hangs for a minute: the promised figures
	KIOSKD_FIGURES=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 6m $(AS_ROOT) -run '^TestSwapAgain|^TestKilledAgain|^TestAStalledPage' ./daemon/e2e \
	| grep -E '^(---|FAIL|ok|panic)|_test.go:'

# Devices that fail in a call, again and again.
FAULTS := ^Test(CameraFaults|RandomCommands|RolesFollowTheDevices|SoundServerDies)$$

faults: build ## cameras and sound that fail in a call, 20 times each, and 10,000 random commands
	KIOSKD_FIGURES=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 30m $(AS_ROOT) -run '$(FAULTS)' ./daemon/e2e \
	| grep -E '^ *(---|FAIL|ok|panic)|_test.go:'

nightly: build ## the same 100 times each
	KIOSKD_NIGHTLY=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 2h $(AS_ROOT) -run '$(FAULTS)' ./daemon/e2e \
	| grep -E '^ *(---|FAIL|ok|panic)|_test.go:'

load: build ## the control API under load, a minute each: readers, writers, stalled streams, slow heads, 1,000 dialers
	KIOSKD_FIGURES=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 10m $(AS_ROOT) ./daemon/api/load | grep -E '^ *(---|FAIL|ok|panic)|_test.go:'

promtool: MORE_PACKAGES := prometheus
promtool: setup ## have Prometheus's own linter read the metrics
	KIOSKD_PROMTOOL=1 go test -count 1 -run '^TestMetrics$$' ./daemon

bench: MORE_PACKAGES := $(BENCH_PACKAGES)
bench: build ## what encoding and whole calls cost, beside mediadevices, GStreamer, libvpx and Chromium
	go build -trimpath -o bin/ ./cmd/bench
	go build -trimpath -o bin/bench-mediadevices ./cmd/bench/mediadevices
	$(SUDO) bin/bench $(BENCH)

vm: MORE_PACKAGES := $(VM_PACKAGES)
vm: build ## a call on Debian's own kernel in QEMU: cameras and a sound card that go and come; VM=-fresh for the newest kernel
	go build -trimpath -o bin/vm ./systemd/vm
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/vm-guest ./systemd/vm/guest
	$(SUDO) bin/vm $(VM)

lint: setup ## golangci-lint, see .golangci.yml
	go run $(GOLANGCI) run ./...

fuzz: setup ## each fuzz target for FUZZTIME (default 60s)
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
	echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(or $(FUZZTIME),60s) -fuzzminimizetime 10x $$p || exit 1; done; done

clean: ## remove what was built
	rm -rf bin demo systemd/vm/build || $(SUDO) rm -rf bin demo systemd/vm/build

.PHONY: help setup build demo test rows figures faults nightly load promtool bench vm lint fuzz clean
