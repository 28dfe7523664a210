# SPDX-License-Identifier: Apache-2.0
# A thin front for CMake and the scripts; see docs/HACKING.md.
PRESET ?= release
BUILD := build/$(PRESET)
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60

.PHONY: all demo check bench fuzz lint format install clean

all:
	@cmake --preset $(PRESET) -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(CMAKE_ARGS) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@cmake --build --preset $(PRESET)

$(shell mkdir -p build)

# Build husk and boot a microVM whose userland reads its disk and greets.
demo:
	@scripts/demo

# Everything that this host can test; ends with ctest's own summary and a list of what was skipped.
check:
	@scripts/check

# Figures, beside the peers that are installed.
bench: all
	@tests/bench/run $(BUILD)

# Every fuzz target for FUZZ_SECONDS, with the seed corpora.
fuzz:
	@scripts/fuzz $(FUZZ_SECONDS)

lint:
	@scripts/lint

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

# The command, its manual and completion, libhusk, its headers, and the programs that both start. PREFIX
# is compiled in (they look for those programs there); DESTDIR stages without being seen.
install: all
	@DESTDIR=$(DESTDIR) cmake --install $(BUILD)

clean:
	rm -rf build
