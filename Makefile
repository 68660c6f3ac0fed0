# make                 builds all programs into build/bin, to be run in place: . build/env
# make demo            the main job on this machine's manual pages; installs what it needs first
# make demo-many       the same index over six hosts that are namespaces of this machine (needs root)
# make check           all tests; make check-long: the same with longer crash loops and searches
# make tsan            the tests of TSANLUA once more, everything built for the search of data races by TSan
# make fuzz            searches for faults of decoders: T=NAME MIN=10 (clang); without T the list of them
# make sim             SEEDS=10000 [FIRST=1]: many machines simulated; SEED=N TRACE=1 replays one; make sim-scale: what decisions cost
# make soak            MIN=30: mixed load with kills; fails if memory, descriptors, arena or processes grow
# make chaos           MINUTES=10 [SEED=N]: six hosts under load, and anything killed, cut off and slowed (needs root)
# make bench           a table of speeds; PEERS=1 measures the peers beside us
# make install         PREFIX=/usr/local DESTDIR=; make uninstall
# make deps lint clean
# O=DIR builds elsewhere, CFLAGS adds to ours, WERROR=1 makes warnings errors, V=1 shows commands, READY= skips the look for packages.
# A sanitized tree of its own: make check O=build/own CFLAGS='-O1 -g -fsanitize=address,undefined'
ifneq ($(shell uname -s),Linux)
$(error rota needs Linux 5.10 or later (memfd, pidfd, futex))
endif
ifeq ($(wildcard /proc/self/fd),)
$(error rota needs /proc: mount -t proc proc /proc)
endif

PREFIX = /usr/local
OBJCOPY = objcopy
O = build
CFLAGS = -O2 -g
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla $(if $(WERROR),-Werror)
PACKAGES = gcc libc6-dev pkg-config liblua5.4-dev libev-dev liblmdb-dev libssl-dev perl procps mandoc man-db
# What some parts are better with: make deps installs these too if it can, and goes on if not.
OPTIONAL = libarchive-dev libssh2-1-dev
override CPPFLAGS += -Ilib -D_GNU_SOURCE -I/usr/include/lua5.4 -MMD -MP
override CFLAGS += -std=c11 -fPIC -pthread $(WARN)
override LDFLAGS += -Wl,--as-needed
LDLIBS = -llua5.4 -lev -llmdb -lssl -lcrypto -lm
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

# One short line a command; V=1 shows them whole.
say = $(if $(V),,@echo '  $1' && )

# The layout is the file list.
HERE := $(abspath $(O))
LIB := $(wildcard lib/*/*.c)
SBIN := rgcs rlet rdash
PRIVATE := rwork rpack rssh
PROGRAMS := $(filter-out $(PRIVATE),$(patsubst cmd/%/,%,$(dir $(wildcard cmd/*/*.c))))
PROGRAMS := $(sort $(PROGRAMS))
LIBEXEC := $(sort $(patsubst cmd/%/,%,$(dir $(wildcard $(PRIVATE:%=cmd/%/*.c)))))
MODULE := $(if $(wildcard lib/script/*.c),$(O)/lua/rota.so)
PAGES := $(wildcard man/*.[13578])
BENCH := $(patsubst %.c,$(O)/%,$(wildcard contrib/bench/*.c)) $(patsubst %.c,$(O)/%.so,$(wildcard contrib/bench/c*.c))
CAPI := lib/librota.so.0 lib/librota.so lib/librota.a lib/pkgconfig/rota.pc include/rota.h
MODELC := $(if $(findstring -fsanitize,$(CFLAGS)),,$(wildcard t/model/*.c))
FUZZC := $(wildcard t/fuzz/*.c)
TESTC := $(filter-out t/model/% t/tsan/% t/sim/%,$(wildcard t/*.c t/*/*.c))
SIM := $(O)/t/sim/sim
TESTS := $(patsubst %.c,$(O)/%.t,$(filter-out $(FUZZC),$(TESTC))) $(MODELC:%.c=$(O)/%.t)

# The C tests once more with sanitizers, unless the whole tree is.  TSan: what several processes share.
# Their instructions make gcc see uninitialized uses that are none.
QUIET := -Wno-maybe-uninitialized -Wno-unknown-warning-option
SAN := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer $(QUIET)
TSAN := -O1 -g -fsanitize=thread -Wno-tsan $(QUIET)
ifeq ($(findstring -fsanitize,$(CFLAGS)),)
SANTESTS := $(TESTC:%.c=$(O)/san/%.t)
SIM += $(O)/san/t/sim/sim
TSANTESTS := $(patsubst %.c,$(O)/tsan/%.t,$(wildcard t/ring_*.c t/store_*.c t/client_*.c t/capi_threads.c))
else
TESTS += $(FUZZC:%.c=$(O)/%.t)
endif

# Goals for users do their own set-up; the others only say what is missing.
READY := $(if $(filter deps demo demo-many check check-long tsan bench soak chaos,$(MAKECMDGOALS)),deps,have)

all: $(PROGRAMS:%=$(O)/bin/%) $(LIBEXEC:%=$(O)/libexec/rota/%) $(MODULE) $(CAPI:%=$(O)/%) $(O)/env
	@if command -v nvcc >/dev/null; then echo 'cuda: found; no part of this release uses it'; \
	else echo 'without: cuda (no nvcc)'; fi
	@echo 'to use it from here: . $(O)/env'
.SECONDEXPANSION:
.SECONDARY:
.DELETE_ON_ERROR:

# Three flavours of objects and tests: plain, $(O)/san, $(O)/tsan.
$(O)/librota.a: $(LIB:%.c=$(O)/%.o)
$(O)/san/librota.a: $(LIB:%.c=$(O)/san/%.o)
$(O)/tsan/librota.a: $(patsubst %.c,$(O)/tsan/%.o,$(filter $(addprefix lib/,$(addsuffix /%,base os wire ring store core client capi)),$(LIB)))
%/librota.a:
	$(call say,ar $@)rm -f $@ && $(AR) rcs $@ $^
$(O)/%.o: %.c | $(READY)
	@mkdir -p $(@D)
	$(call say,cc $<)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(O)/san/%.o: %.c | $(READY)
	@mkdir -p $(@D)
	$(call say,cc $< (ASan))$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN) -c -o $@ $<
$(O)/tsan/%.o: %.c | $(READY)
	@mkdir -p $(@D)
	$(call say,cc $< (TSan))$(CC) $(CPPFLAGS) $(CFLAGS) $(TSAN) -c -o $@ $<
$(O)/t/%.t: $(O)/t/%.o $(O)/librota.a
	$(call say,ld $@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(O)/san/t/%.t: $(O)/san/t/%.o $(O)/san/librota.a
	$(call say,ld $@)$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(O)/tsan/t/%.t: $(O)/tsan/t/%.o $(O)/tsan/librota.a
	$(call say,ld $@)$(CC) $(CFLAGS) $(TSAN) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(O)/contrib/bench/%.so: $(O)/contrib/bench/%.o
	$(call say,ld $@)$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^
$(O)/contrib/bench/%: $(O)/contrib/bench/%.o $(O)/librota.a
	$(call say,ld $@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Searches (t/fuzz.h): everything once more by clang, with coverage and sanitizers.
FUZZCC = clang
FUZZ := -O1 -g -DFUZZ -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
$(O)/fuzz/%.o: %.c | $(READY)
	@mkdir -p $(@D)
	$(call say,cc $< (fuzz))$(FUZZCC) $(CPPFLAGS) $(CFLAGS) $(FUZZ) -fsanitize=fuzzer-no-link -c -o $@ $<
$(O)/fuzz/librota.a: $(LIB:%.c=$(O)/fuzz/%.o)
$(O)/fuzz/%.t: $(O)/fuzz/t/fuzz/%.o $(O)/fuzz/librota.a
	$(call say,ld $@)$(FUZZCC) $(CFLAGS) $(FUZZ) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS)
fuzz: have $(if $(wildcard t/fuzz/$(T).c),$(O)/san/t/fuzz/$(T).t)
	@[ -n '$(T)' ] || { echo 'make fuzz T=NAME MIN=MINUTES [KEEP=1]; NAME is one of'; \
		for f in $(FUZZC); do sed -n "2,3s|^ \* [a-z_]*\.c - |$${f##*/}: |p; 1s|^/\* [a-z_]*\.c - \(.*\) \*/|$${f##*/}: \1|p" $$f; done | \
		sed 's/\.c: /\t/' | expand -t 12; exit 0; }; \
	[ -z '$(T)' ] || [ -e 't/fuzz/$(T).c' ] || { echo 'make: no t/fuzz/$(T).c' >&2; exit 2; }; \
	[ -z '$(T)' ] || command -v $(FUZZCC) >/dev/null || { echo 'make: no $(FUZZCC); apt-get install clang' >&2; exit 2; }; \
	[ -z '$(T)' ] || { $(MAKE) --no-print-directory $(O)/fuzz/$(T).t READY= && O=$(O) MIN=$(MIN) KEEP=$(KEEP) t/fuzz/search $(T); }

# The simulator (t/sim/sim.h).
SIMC := $(wildcard t/sim/*.c)
$(O)/t/sim/sim: $(SIMC:%.c=$(O)/%.o) $(O)/librota.a
	$(call say,ld $@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(O)/san/t/sim/sim: $(SIMC:%.c=$(O)/san/%.o) $(O)/san/librota.a
	$(call say,ld $@)$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $^ $(LDLIBS)
sim: $(O)/t/sim/sim
	@$< $(if $(SEED),-f $(SEED) -n 1,-n $(or $(SEEDS),1000) $(if $(FIRST),-f $(FIRST))) $(if $(TRACE),-t) $(if $(PART),-p $(PART))
sim-scale: $(O)/t/sim/sim
	@$< -S

soak: deps all
	@. $(HERE)/env && t/soak/run $(or $(MIN),30)
chaos: deps all
	@. $(HERE)/env && O="$(HERE)" SEED=$(SEED) LOAD=$(LOAD) t/chaos/run $(or $(MINUTES),10)

# The explorer brings atomics of its own, and stacks that no sanitizer can follow; -O1 leaves the least rubbish on them.
$(O)/t/model/%.o: override CPPFLAGS := -It/model/include $(CPPFLAGS)
$(O)/t/model/%.o: override CFLAGS += -O1

# A program is a directory.  Exported dynamically are the Lua library's symbols only, by the shared one itself.
$(O)/bin/% $(O)/libexec/rota/%: $$(addprefix $(O)/,$$(addsuffix .o,$$(basename $$(wildcard cmd/$$*/*.c)))) $(O)/librota.a
	@mkdir -p $(@D)
	$(call say,ld $@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
# A tree that was sent to another machine brings its libraries along, in lib/rota.
$(O)/bin/% $(O)/libexec/rota/%: override LDFLAGS += -Wl,--disable-new-dtags,-rpath,'$$ORIGIN/../lib/rota:$$ORIGIN/../../lib/rota'
# These find out when they are compiled what there is.
$(O)/libexec/rota/rpack: override LDLIBS += $(if $(wildcard /usr/include/archive.h),-larchive)
$(O)/libexec/rota/rssh: override LDLIBS += $(if $(wildcard /usr/include/libssh2.h),-lssh2)
# A worker gives the C tasks that it loads what librota would give them.
$(O)/libexec/rota/rwork: override LDFLAGS += -Wl,--export-dynamic-symbol='rota_*' $(addprefix -Wl$(COMMA)-u$(COMMA),\
	rota_submit rota_call rota_build rota_get_int)
COMMA := ,

# librota, for C programs: nothing but rota.h's functions is seen of it, in the shared and in the static one.
CAPIOBJ := $(patsubst %.c,$(O)/%.o,$(wildcard lib/capi/*.c))
$(O)/lib/librota.so.0: lib/capi/librota.map $(CAPIOBJ) $(O)/librota.a
	@mkdir -p $(@D)
	$(call say,ld $@)$(CC) -shared $(CFLAGS) $(LDFLAGS) -Wl,-soname,librota.so.0 -Wl,--version-script=$< -o $@ $(filter-out %.map,$^)
$(O)/lib/librota.so: | $(O)/lib/librota.so.0
	@ln -sfn librota.so.0 $@
$(O)/lib/librota.a: $(CAPIOBJ) $(O)/librota.a
	@mkdir -p $(@D) && rm -f $@
	$(call say,ar $@)$(LD) -r -o $(@:.a=.o) $^ && $(OBJCOPY) -w --keep-global-symbol='rota_*' $(@:.a=.o) && \
		$(AR) rcs $@ $(@:.a=.o) && rm -f $(@:.a=.o)
$(O)/include/rota.h: lib/capi/rota.h
	@mkdir -p $(@D) && ln -sfn $(CURDIR)/$< $@
# pc DIR RPATH: the text of rota.pc
pc = printf '%s\n' 'prefix=$(1)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' 'Name: rota' \
	'Description: tasks, actors and shared objects' "Version: $$(sed -n 's/.*ROTA_VERSION "\(.*\)"/\1/p' lib/base/version.h)" \
	'Cflags: -I$${includedir}' 'Libs: -L$${libdir} $(2) -lrota' 'Libs.private: -lpthread -ldl -lm'
RPATH = -Wl$(COMMA)-rpath$(COMMA)$${libdir}
$(O)/lib/pkgconfig/rota.pc: Makefile lib/base/version.h
	@mkdir -p $(@D) && $(call pc,$(HERE),$(RPATH)) >$@

# The module for other Lua interpreters: it brings no Lua of its own and shows nothing but its doors.
$(O)/lua/rota.so: $(patsubst %.c,$(O)/%.o,$(wildcard lib/script/*.c)) $(O)/librota.a
	@mkdir -p $(@D)
	@echo '{ global: luaopen_rota*; local: *; };' >$(O)/lua/rota.map
	$(call say,ld $@)$(CC) -shared $(CFLAGS) $(LDFLAGS) -Wl,--version-script=$(O)/lua/rota.map -o $@ $^ $(filter-out -llua%,$(LDLIBS))

# build/env, and the tree that it and the programs point to: man/manN, share/lua/5.4 as after an installation.
$(O)/env: Makefile $(PAGES) | $(O)/share/lua/5.4 $(O)/share/rota
	@rm -rf $(O)/man && mkdir -p $(O)/man
	@for p in $(PAGES); do mkdir -p $(O)/man/man$${p##*.} && ln -s $(CURDIR)/$$p $(O)/man/man$${p##*.}/; done
	@{ echo '# . $(O)/env - rota in place: programs, pages, Lua modules, completion'; \
	echo 'case ":$$PATH:" in *":$(HERE)/bin:"*) ;; *)'; \
	echo '	export PATH="$(HERE)/bin:$$PATH"'; \
	echo '	export MANPATH="$(HERE)/man:$${MANPATH-}"'; \
	echo '	export PKG_CONFIG_PATH="$(HERE)/lib/pkgconfig:$${PKG_CONFIG_PATH-}"'; \
	echo '	export LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$${LUA_PATH:-;}"'; \
	echo '	export LUA_CPATH="$(HERE)/lua/?.so;$${LUA_CPATH:-;}"'; \
	echo 'esac'; \
	echo 'if [ -n "$${ZSH_VERSION-}" ]; then autoload -U +X bashcompinit && bashcompinit; fi'; \
	echo 'if [ -n "$${BASH_VERSION-}$${ZSH_VERSION-}" ]; then . "$(CURDIR)/contrib/completion/rota.bash"; fi'; } >$@
$(O)/share/lua/5.4:
	@mkdir -p $(@D) && ln -sfn $(CURDIR)/lua $@
$(O)/share/rota:
	@mkdir -p $(@D) && ln -sfn $(CURDIR)/contrib/program $@

# What is missing of a list of packages.  Nothing is asked of dpkg where there is no dpkg.
missing = dpkg-query -W -f '$${db:Status-Status} $${Package}\n' $(1) 2>/dev/null | \
	awk -v want='$(1)' '$$1 == "installed" { have[$$2] = 1 } \
	END { n = split(want, w); for (i = 1; i <= n; i++) if (!(w[i] in have)) printf "%s%s", sep++ ? " " : "", w[i] }'
have:
	@command -v dpkg-query >/dev/null || exit 0; need=$$($(call missing,$(PACKAGES))); [ -z "$$need" ] || \
	{ echo "make: not installed: $$need; 'make deps' installs them with apt" >&2; exit 2; }
# What could not be had of OPTIONAL is noted, and tried again only by 'make deps'.
# The tests of rota up need an sshd, not one that serves this machine: it is unpacked, not installed.
deps:
	@command -v apt-get >/dev/null || { echo 'make: this is no Debian; rota is built with what it calls: $(PACKAGES)'; \
		echo "make: once they are installed: make $(MAKECMDGOALS) READY="; exit 2; } >&2; \
	need=$$($(call missing,$(PACKAGES))); want=$$($(call missing,$(OPTIONAL))); \
	[ '$(MAKECMDGOALS)' = deps ] || [ ! -e $(O)/deps/without ] || want=; \
	sshd=; [ -e $(O)/deps/sshd ] || [ -e $(O)/deps/without ] || [ -x /usr/sbin/sshd ] || sshd=1; \
	[ -n "$$need$$want$$sshd" ] || exit 0; mkdir -p $(O)/deps; \
	sudo=; [ "$$(id -u)" -eq 0 ] || sudo=sudo; \
	[ -z "$$need$$want" ] || echo "make: will install with apt: $$need $$want$${sudo:+ (sudo will ask)}"; \
	apt() { $$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$$@" >/dev/null; }; \
	get() { [ -z "$$*" ] || apt install -y --no-install-recommends "$$@"; }; \
	ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || apt update || exit 2; \
	get $$need || { apt update && get $$need; } || exit 2; \
	rm -f $(O)/deps/without; get $$want || { echo "make: goes on without $$want" >&2; echo $$want >$(O)/deps/without; }; \
	[ -z "$$sshd" ] || (mkdir -p $(O)/deps/sshd.part && cd $(O)/deps/sshd.part && apt-get -qq download openssh-server libwrap0 && \
		for d in *.deb; do dpkg -x "$$d" . || exit 1; done && mv ../sshd.part ../sshd) >/dev/null 2>&1 || \
		{ echo "make: goes on without sshd for tests" >&2; echo openssh-server >>$(O)/deps/without; }

# The tests of nodes that are jobs of Slurm need one, which is unpacked too.  It is large: for check-long only.
SLURM := munge slurmctld slurmd slurm-client
deps-slurm:
	@[ -e $(O)/deps/slurm ] || [ -x /usr/sbin/slurmctld ] || { mkdir -p $(O)/deps/slurm.part && cd $(O)/deps/slurm.part && \
		apt-get -qq download $$(apt-get -s install --no-install-recommends $(SLURM) | sed -n 's/^Inst \([^ ]*\).*/\1/p') && \
		for d in *.deb; do dpkg -x "$$d" . || exit 1; done && rm -f ./*.deb && mv ../slurm.part ../slurm; } >/dev/null 2>&1 || \
		echo "make: goes on without $(SLURM)" >&2

# Leaks are looked for in the units; a program leaves what it has at its end to the kernel.
# Some tests count memory: of what was freed, little is kept from use.
PROVE = PATH="$(HERE)/bin:$$PATH" O="$(HERE)" LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;" \
	LUA_CPATH="$(HERE)/lua/?.so;;" $(if $(findstring address,$(CFLAGS)),ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=16) prove -f -o
LIMIT = timeout -k 5 $(if $(ROTA_LONG),3600,$(if $(findstring -fsanitize,$(CFLAGS)),900,300))
check-long: export ROTA_LONG = 1
check-long: deps-slurm
check check-long: deps all $(TESTS) $(SANTESTS) $(TSANTESTS) $(SIM)
	@unset ROTA_ADDRESS ROTA_NAMESPACE ROTA_KEY ROTA_STORE ROTA_SPILL; \
	$(PROVE) -j 2 -e '$(LIMIT) t/own' $(TESTS) $(SANTESTS) $(TSANTESTS) $(wildcard t/*.lua t/*.t)
# A tree of its own.  A report fails it, whosever it is: a worker's would be seen by nobody.
# Not among them: what wants an answer sooner than TSan lets one come, and programs that cannot be run (a vfork is a fork there).
TSANLUA := actors cancel chan concurrency dag errors groups kv memory nested on refs retry spill tasks waits
tsan: deps
	@$(MAKE) --no-print-directory O=$(O)/tsanall CFLAGS='$(TSAN)' tsan-check
tsan-check: all $(O)/t/tsan/lua.so
	@rm -f $(O)/race.*; unset ROTA_ADDRESS ROTA_NAMESPACE ROTA_KEY ROTA_STORE ROTA_SPILL; \
	LD_PRELOAD=$(HERE)/t/tsan/lua.so TSAN_OPTIONS='log_path=$(HERE)/race die_after_fork=0 second_deadlock_stack=1' \
	$(PROVE) -e '$(LIMIT) t/own' $(TSANLUA:%=t/%.lua); e=$$?; cat $(O)/race.* 2>/dev/null && e=1; exit $$e
$(O)/t/tsan/lua.so: t/tsan/lua.c
	@mkdir -p $(@D)
	$(call say,ld $@)$(CC) -shared $(CPPFLAGS) $(filter-out -fsanitize%,$(CFLAGS)) -o $@ $< -ldl
demo: deps all
	@. $(HERE)/env && examples/demo
demo-many: deps all
	@. $(HERE)/env && ROTA_LONG=1 t/demo_many.t
bench: deps all $(BENCH)
	@. $(HERE)/env && PATH="$(HERE)/contrib/bench:$$PATH" O="$(HERE)" PEERS=$(PEERS) contrib/bench/bench
lint:
	mandoc -Tlint -W warning man/*
	shellcheck -S warning -e SC1091,SC2317,SC1083,SC2046,SC2089,SC2090,SC2154 t/*.t t/lib.sh

# A file at a time, each noted in the manifest that uninstall reads.
D = $(DESTDIR)$(PREFIX)
install: all
	@set -e; list=$(O)/manifest; : >$$list; \
	put() { mode=$$1 to=$$2 from=$$3; install -D -m $$mode $$from "$(D)/$$to"; echo "$$to" >>$$list; }; \
	for p in $(filter-out $(SBIN),$(PROGRAMS)); do put 755 bin/$$p $(O)/bin/$$p; done; \
	for p in $(filter $(SBIN),$(PROGRAMS)); do put 755 sbin/$$p $(O)/bin/$$p; done; \
	for p in $(LIBEXEC); do put 755 libexec/rota/$$p $(O)/libexec/rota/$$p; done; \
	for f in $(patsubst lua/%,%,$(shell find lua -name '*.lua' 2>/dev/null)); do put 644 share/lua/5.4/$$f lua/$$f; done; \
	for f in $(MODULE); do put 755 lib/lua/5.4/rota.so $$f; done; \
	put 644 include/rota.h lib/capi/rota.h; put 755 lib/librota.so.0 $(O)/lib/librota.so.0; put 644 lib/librota.a $(O)/lib/librota.a; \
	ln -sfn librota.so.0 "$(D)/lib/librota.so"; echo lib/librota.so >>$$list; \
	$(call pc,$(PREFIX),$(if $(filter /usr,$(PREFIX)),,$(RPATH))) >$(O)/rota.pc; put 644 lib/pkgconfig/rota.pc $(O)/rota.pc; \
	for p in $(PAGES); do put 644 share/man/man$${p##*.}/$${p##*/} $$p; done; \
	for p in $(PROGRAMS); do put 644 share/bash-completion/completions/$$p contrib/completion/rota.bash; \
		put 644 share/fish/vendor_completions.d/$$p.fish contrib/completion/rota.fish; done; \
	for f in contrib/program/*.py contrib/program/*.sh; do put 644 share/rota/$${f##*/} $$f; done; \
	for f in LICENSE $(wildcard README) $(wildcard examples/*); do put 644 share/doc/rota/$$f $$f; done; \
	echo lib/rota/manifest >>$$list; install -D -m 644 $$list "$(D)/lib/rota/manifest"; \
	echo "installed in $(D); to use it: eval \"\$$($(PREFIX)/bin/rota env)\"; to remove it: make uninstall PREFIX=$(PREFIX)"
uninstall:
	@[ -r "$(D)/lib/rota/manifest" ] || { echo "make: no rota in '$(D)'; elsewhere: make uninstall PREFIX=DIR" >&2; exit 1; }; \
	while read -r f; do echo "$(D)/$$f"; done <"$(D)/lib/rota/manifest" | tr '\n' '\0' | xargs -0 rm -f --; \
	cd "$(D)" && for d in lib/rota libexec/rota libexec share/lua/5.4/rota share/lua/5.4 share/lua lib/lua/5.4 lib/lua \
		lib/pkgconfig share/doc/rota/examples share/doc/rota share/rota; do rmdir "$$d" 2>/dev/null || :; done
clean:
	rm -rf $(O)
.PHONY: all deps-slurm check check-long tsan tsan-check demo bench fuzz sim sim-scale soak chaos deps have lint install uninstall clean
-include $(shell find $(O) -path $(O)/deps -prune -o -name '*.d' -print 2>/dev/null)
