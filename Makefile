# kioskd: build, demo, tests. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

# hraban/opus would bring libopusfile in for a reader that nobody here uses. (Its -dev package is in
# PACKAGES all the same, for who types go vet by hand.)
export GOFLAGS := -tags=nolibopusfile -buildvcs=false
PROGRAMS := kioskd kioskctl kioskscreen clinicsim fakecam demo
PACKAGES := gcc g++ libc6-dev pkg-config libvpx-dev libopus-dev libasound2-dev \
	libjpeg62-turbo-dev libyuv-dev chromium libasound2-plugins pulseaudio pulseaudio-utils \
	ca-certificates curl iproute2 v4l-utils strace e2fsprogs coturn systemd dbus dpkg-dev libopusfile-dev zsh
# What bench holds us against, and decodes with.
BENCH_PACKAGES := gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
# What vm fetches its machine with, and emulates it.
VM_PACKAGES := qemu-system-x86 mmdebstrap e2fsprogs
# The TURN server that tests go through.
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Tests that need private device folders, namespaces or other users: as root. They
# wait for devices and disks more than they work, so two packages run at a time.
DEVICE_TESTS := ./capture/camera/... ./capture/microphone/... ./capture/soundcard/... ./capture/speaker ./cmd/fakecam/... \
	./cmd/kioskctl $$(go list ./daemon/api/... | grep -v /load$$) ./daemon/check ./daemon/client ./daemon/devices ./daemon/privacy \
	./daemon/network ./store ./cmd/kioskd
# Those that need root, too, and the two cores.
ROOT_TESTS := ./daemon/api/load ./systemd/lab ./daemon/e2e
# Tests with deadlines of media in them run one package at a time: the others
# would take the two cores away.
MEDIA_TESTS := ./capture/encode ./cmd/clinicsim/sim ./cmd/kioskscreen ./daemon ./daemon/call ./daemon/room/... ./daemon/e2e/stage ./systemd/vm/farside

# Root is needed for apt, for the fake camera's namespace and for the tests that
# use it; everything else runs as the caller.
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo,)
AS_ROOT := $(if $(SUDO),-exec 'sudo -E env PATH=$(PATH) KIOSKD_BIN=$(CURDIR)/bin',)

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile

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
	@$(covered)
	go test -race -timeout 5m $$(go list ./... | grep -vxF "$$(go list $(DEVICE_TESTS) $(ROOT_TESTS) $(MEDIA_TESTS))")
	KIOSKD_BIN=$(CURDIR)/bin go test -race -p 1 -timeout 5m $(MEDIA_TESTS)
	KIOSKD_BIN=$(CURDIR)/bin go test -race -p 2 -timeout 8m $(AS_ROOT) $(DEVICE_TESTS)
	$(MAKE) deb-lab lab-programs
	KIOSKD_BIN=$(CURDIR)/bin go test -race -p 1 -timeout 20m $(AS_ROOT) $(ROOT_TESTS)

# Rows of the screen's contract, each with the seconds it took.
ROWS := Test(Elements|States|Validations|Actions|WhatFollows|Restarts)

rows: build ## each row of the screen's contract, played with the real programs
	KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 12m $(AS_ROOT) -run '^$(ROWS)$$' ./daemon/e2e | awk -f daemon/e2e/rows.awk

figures: build ## kill -9 and camera swap, 20 times each, and a page that hangs for a minute: the promised figures
	KIOSKD_FIGURES=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 6m $(AS_ROOT) -run '^TestSwapAgain|^TestKilledAgain|^TestAStalledPage' ./daemon/e2e \
	| grep --line-buffered -E '^(---|FAIL|ok|panic)|_test.go:'

# Devices that fail in a call, again and again.
FAULTS := ^Test(CameraFaults|RandomCommands|RolesFollowTheDevices|SoundServerDies)$$

faults: build ## cameras and sound that fail in a call, 20 times each, and 10,000 random commands
	KIOSKD_FIGURES=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 30m $(AS_ROOT) -run '$(FAULTS)' ./daemon/e2e \
	| grep --line-buffered -E '^ *(---|FAIL|ok|panic)|_test.go:'

badlinks: build ## a call at 5 % loss and through 300 kbit/s: the promised figures
	@KIOSKD_FIGURES=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 6m $(AS_ROOT) -run '^TestBadLinks$$' ./daemon/e2e \
	| grep --line-buffered -E '^ *(---|FAIL|ok|panic)|_test.go:'

floods: build ## a participant that floods the kiosk in twelve ways, 10 s each: the promised figures
	@KIOSKD_FIGURES=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 30m $(AS_ROOT) -run '^TestFloods$$' ./daemon/e2e \
	| grep --line-buffered -E '^ *(---|FAIL|ok|panic)|_test.go:'

# The last lines are the figures of each cell.
blackouts: build ## the network goes for 1, 5, 20 and 60 s, two ways, 5 times each, and its address changes: the promised figures
	KIOSKD_FIGURES=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 30m $(AS_ROOT) -run '^TestBlackouts$$' ./daemon/e2e \
	| grep --line-buffered -E '^ *(---|FAIL|ok|panic)|_test.go:'

nightly: build ## the same 100 times each, blackouts 20 times and floods of a minute
	KIOSKD_NIGHTLY=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 4h $(AS_ROOT) -run '$(FAULTS)|^Test(Blackouts|Floods)$$' ./daemon/e2e \
	| grep --line-buffered -E '^ *(---|FAIL|ok|panic)|_test.go:'

# Of a verbose test run what says something; a failed test's exit code passes (pipefail).
VERDICT := grep --line-buffered -E '^ *(---|FAIL|ok|panic)|_test.go:'

kill: build ## 1,000 kill -9 at random moments and 100 at each named point of the commit path, with commands running
	KIOSKD_KILLS=1000:100 go test -count 1 -v -timeout 30m $(AS_ROOT) -run '^TestKillLoop' ./cmd/kioskd | $(VERDICT)

crash: build ## 100,000 images of power cuts, 10,000 damaged stores, and an error at every call that writes
	KIOSKD_CRASH=100000 KIOSKD_DAMAGED=10000 go test -count 1 -v -timeout 30m $(AS_ROOT) -run '^Test(PowerCut|Damaged|EveryCallFails|EveryPrefix|FullDisk)' ./store | $(VERDICT)
	KIOSKD_CRASH=1 go test -count 1 -v -timeout 15m $(AS_ROOT) -run '^Test(Damaged|Full|Failed)' ./cmd/kioskd | $(VERDICT)

load: build ## the control API under load, a minute each: readers, writers, stalled streams, slow heads, 1,000 dialers
	KIOSKD_FIGURES=1 KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 10m $(AS_ROOT) ./daemon/api/load | grep --line-buffered -E '^ *(---|FAIL|ok|panic)|_test.go:'

promtool: MORE_PACKAGES := prometheus
promtool: setup ## have Prometheus's own linter read the metrics
	KIOSKD_PROMTOOL=1 go test -count 1 -run '^TestMetrics$$' ./daemon

bench: MORE_PACKAGES := $(BENCH_PACKAGES)
bench: build ## what encoding and whole calls cost, beside mediadevices, GStreamer, libvpx and Chromium
	go build -trimpath -o bin/ ./cmd/bench
	go build -trimpath -o bin/bench-mediadevices ./cmd/bench/mediadevices
	$(SUDO) bin/bench $(BENCH)

# Every statement of Step and of what it calls is run by its package's own tests.
covered = go test -count 1 -cover ./daemon/session | tee /dev/stderr | grep -q 'coverage: 100.0% of' || { echo "a statement of daemon/session is not covered"; exit 1; }

walk: setup ## ten million random events on the session's state machine, every statement of it covered
	@$(covered)
	@KIOSKD_WALK=$(or $(EVENTS),10000000) go test -count 1 -v -timeout 30m -run '^TestRandomWalk$$' ./daemon/session | grep --line-buffered -E '^(---|FAIL|ok|panic)|_test.go:'

soak: build ## 1,500 calls, three of ten ended badly: goroutines, files and memory stay
	KIOSKD_SOAK=$(or $(CALLS),1500) KIOSKD_BIN=$(CURDIR)/bin go test -count 1 -v -timeout 20m $(AS_ROOT) -run '^TestSoak$$' ./daemon/e2e \
	| grep --line-buffered -E '^ *(---|FAIL|ok|panic)|_test.go:'

small: setup ## a million session records: the store's file stays within 64 MiB
	KIOSKD_RECORDS=1000000 go test -count 1 -v -timeout 30m -run '^TestStaysSmall$$' ./store | grep --line-buffered -E '^ *(---|FAIL|ok|panic)|_test.go:'

vm: MORE_PACKAGES := $(VM_PACKAGES)
vm: build ## a call on Debian's own kernel in QEMU: cameras and a sound card that go and come; VM=-fresh for the newest kernel
	go build -trimpath -o bin/vm ./systemd/vm
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/vm-guest ./systemd/vm/guest
	$(MAKE) deb-lab
	$(SUDO) bin/vm $(VM)

DEB_ARCH ?= amd64
DEB_VERSION ?= $(shell sed -n 's/^const Release = "\(.*\)"/\1/p' daemon/api/apitype/release.go)
DEB_STAGE := bin/deb-$(DEB_ARCH)
DEB := bin/kioskd_$(DEB_VERSION)_$(DEB_ARCH).deb
# What the package is made and checked with.
DEB_PACKAGES := dpkg-dev lintian man-db
DEB_MAINTAINER ?= kioskd maintainers <kioskd@users.noreply.github.com>
# The newest whose modules are all to be had from the proxy.
NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.44.2

deb: MORE_PACKAGES := $(DEB_PACKAGES)
deb: build deb-programs deb-pack ## the Debian package, into bin/
	lintian --fail-on error --profile debian $(DEB)

deb-programs:
	@mkdir -p $(DEB_STAGE)
	go build -trimpath -buildmode=pie -ldflags "-s -w -linkmode=external -extldflags '-Wl,-z,relro,-z,now'" -o $(DEB_STAGE)/ ./cmd/kioskd ./cmd/kioskctl ./cmd/kioskscreen

# A package of what lies in DEB_STAGE.
deb-pack:
	@mkdir -p $(DEB_STAGE)/debian
	go run ./systemd/package/manual -bin $(DEB_STAGE) -out $(DEB_STAGE) -version $(DEB_VERSION) -maintainer '$(DEB_MAINTAINER)'
	@sed 's/compression: xz/compression: $(or $(DEB_COMPRESSION),xz)/' systemd/package/nfpm.yaml > $(DEB_STAGE)/nfpm.yaml
	@printf 'Source: kioskd\n\nPackage: kioskd\nArchitecture: any\n' > $(DEB_STAGE)/debian/control
	depends=$$(cd $(DEB_STAGE) && dpkg-shlibdeps -O -e kioskd -e kioskctl -e kioskscreen 2>/dev/null | sed -n 's/^shlibs:Depends=//p') && \
	test -n "$$depends" && DEPENDS="$$depends" ARCH=$(DEB_ARCH) VERSION=$(DEB_VERSION) STAGE=$(DEB_STAGE) MAINTAINER='$(DEB_MAINTAINER)' \
	go run $(NFPM) package -f $(DEB_STAGE)/nfpm.yaml -p deb -t $(DEB)

# Cross-built, never run here: the dependencies are amd64's, whose packages have the same
# names and versions. Left out, with a word, where Debian's arm64 parts are not to be had.
ARM64 := $(CURDIR)/bin/arm64/root
ARM64_LIB := $(ARM64)/usr/lib/aarch64-linux-gnu
deb-arm64: MORE_PACKAGES := $(DEB_PACKAGES) gcc-aarch64-linux-gnu g++-aarch64-linux-gnu
deb-arm64: build ## the same for arm64, cross-built: built, not run
	@systemd/package/sysroot bin/arm64 || { echo "deb-arm64: left out"; exit 0; }; \
	mkdir -p bin/deb-arm64/debian && \
	env GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ PKG_CONFIG_SYSROOT_DIR=$(ARM64) \
		PKG_CONFIG_LIBDIR=$(ARM64_LIB)/pkgconfig:$(ARM64)/usr/share/pkgconfig \
		CGO_CFLAGS="-O2 -g -I$(ARM64)/usr/include -I$(ARM64)/usr/include/aarch64-linux-gnu" CGO_LDFLAGS="-L$(ARM64_LIB) -Wl,-rpath-link,$(ARM64_LIB)" \
		go build -trimpath -buildmode=pie -ldflags "-s -w -linkmode=external -extldflags '-Wl,-z,relro,-z,now'" -o bin/deb-arm64/ ./cmd/kioskd ./cmd/kioskctl ./cmd/kioskscreen && \
	go run ./systemd/package/manual -bin bin -out bin/deb-arm64 -version $(DEB_VERSION) -maintainer '$(DEB_MAINTAINER)' && \
	printf 'Source: kioskd\n\nPackage: kioskd\nArchitecture: any\n' > bin/deb-arm64/debian/control && \
	depends=$$(cd bin/deb-arm64 && dpkg-shlibdeps -O -e ../kioskd -e ../kioskctl -e ../kioskscreen 2>/dev/null | sed -n 's/^shlibs:Depends=//p') && \
	test -n "$$depends" && DEPENDS="$$depends" ARCH=arm64 VERSION=$(DEB_VERSION) STAGE=bin/deb-arm64 MAINTAINER='$(DEB_MAINTAINER)' \
	go run $(NFPM) package -f systemd/package/nfpm.yaml -p deb -t bin/kioskd_$(DEB_VERSION)_arm64.deb && \
	echo "deb-arm64: built, not run"

# A package of the programs as they are in bin/, quickly made, for tests.
deb-lab: build
	@mkdir -p bin/deb-lab && cp bin/kioskd bin/kioskctl bin/kioskscreen bin/deb-lab/
	$(MAKE) deb-pack DEB_STAGE=bin/deb-lab DEB=bin/lab.deb DEB_COMPRESSION=none

# The lab's programs; kioskd-faults can be made to hang.
lab-programs:
	go build -trimpath -o bin/ ./systemd/lab
	go build -trimpath -tags faults,nolibopusfile -o bin/kioskd-faults ./cmd/kioskd
	CGO_ENABLED=0 go build -trimpath -o bin/ ./systemd/lab/forbidden

LAB ?= -root=fresh
lab: MORE_PACKAGES := $(DEB_PACKAGES) mmdebstrap
lab: build deb-programs deb-pack lab-programs ## the package under a real systemd in namespaces: every promise of the unit, over a new Debian 12; LAB= over this machine's root
	$(MAKE) newer-deb
	$(SUDO) bin/lab -deb $(DEB) -upgrade bin/newer.deb $(LAB)

newer-deb: # the same package with a higher version, for the upgrade
	rm -rf bin/newer && dpkg-deb -R $(DEB) bin/newer && sed -i 's/^Version: .*/&+lab1/' bin/newer/DEBIAN/control && \
	dpkg-deb -Zgzip -z1 --root-owner-group -b bin/newer bin/newer.deb >/dev/null && rm -rf bin/newer

lint: setup ## golangci-lint, see .golangci.yml
	go run $(GOLANGCI) run ./...

fuzz: setup ## each fuzz target for FUZZTIME (default 60s)
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
	echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(or $(FUZZTIME),60s) -fuzzminimizetime 10x $$p || exit 1; done; done

clean: ## remove what was built
	rm -rf bin demo systemd/vm/build systemd/lab/build || $(SUDO) rm -rf bin demo systemd/vm/build systemd/lab/build

.PHONY: help setup build demo test rows figures faults blackouts badlinks floods nightly walk soak small kill crash load promtool bench vm deb deb-programs deb-pack deb-lab deb-arm64 newer-deb lab lab-programs lint fuzz clean
