# SPDX-License-Identifier: GPL-2.0-only
# make install: what others embed, and the command with what it needs at run time.
# PREFIX, DESTDIR, and the usual directories below PREFIX may be set.

BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib
LIBEXECDIR ?= $(PREFIX)/libexec/pvbatch
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
DOCDIR ?= $(PREFIX)/share/doc/pvbatch
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system

INSTALL_HEADERS = $(filter-out %/machine.h,$(wildcard protocol/pvbatch/*.h)) \
	$(wildcard guest/core/include/pvbatch/*.h guest/mm/include/pvbatch/*.h \
	hypervisor/engine/include/pvbatch/*.h)
INSTALL_LIBS = $(B)/libpvbatch-guest.a $(B)/libpvbatch-host.a
INSTALL_MANS = $(MAN_PAGES)

# Always made anew: the paths in them follow the variables of this very call.
.PHONY: $(B)/pvbatch-guest.pc $(B)/pvbatch-host.pc
$(B)/pvbatch-guest.pc $(B)/pvbatch-host.pc: $(B)/%.pc: docs/pkgconfig/%.pc.in
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' $< >$@

.PHONY: install install-now
install: all
	@$(MAKE) --no-print-directory install-now

# For a build that has what it needs, and may not look for it.
install-now: all-now $(B)/pvbatch-guest.pc $(B)/pvbatch-host.pc
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(SBINDIR) $(LIBDIR) $(PKGCONFIGDIR) $(DOCDIR) \
		$(INCLUDEDIR)/pvbatch $(LIBEXECDIR)/guest $(LIBEXECDIR)/testbed $(COMPLETIONDIR))
	install -m 755 $(B)/pvbatch $(DESTDIR)$(BINDIR)
	install -m 755 $(B)/pvbatchd $(DESTDIR)$(SBINDIR)
	install -m 755 $(B)/pvbatch-domain $(DESTDIR)$(LIBEXECDIR)
	install -m 644 $(INSTALL_LIBS) $(DESTDIR)$(LIBDIR)
	install -m 644 $(B)/pvbatch-guest.pc $(B)/pvbatch-host.pc $(DESTDIR)$(PKGCONFIGDIR)
	install -m 644 $(INSTALL_HEADERS) $(DESTDIR)$(INCLUDEDIR)/pvbatch
	install -m 644 $(wildcard $(B)/guest/*.elf) $(DESTDIR)$(LIBEXECDIR)/guest
	install -m 755 tests/testbed/run-kvm tests/testbed/init $(B)/testbed/kvm-hold \
		$(DESTDIR)$(LIBEXECDIR)/testbed
	install -m 644 tests/testbed/lib.sh $(DESTDIR)$(LIBEXECDIR)/testbed
	install -m 644 $(wildcard docs/*.md docs/*.rng) $(DESTDIR)$(DOCDIR)
	install -D -m 755 packaging/libvirt-hook $(DESTDIR)$(DOCDIR)/examples/libvirt-hook
	$(foreach man,$(INSTALL_MANS),install -D -m 644 $(man) \
		$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(man)))/$(notdir $(man));)
	install -m 644 packaging/pvbatch.bash-completion $(DESTDIR)$(COMPLETIONDIR)/pvbatch
	sed 's|^ExecStart=/usr/sbin/|ExecStart=$(SBINDIR)/|' packaging/pvbatchd.service >$(B)/pvbatchd.service
	install -D -m 644 $(B)/pvbatchd.service $(DESTDIR)$(UNITDIR)/pvbatchd.service
	install -D -m 644 packaging/pvbatch.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/pvbatch.conf
	install -D -m 644 packaging/pvbatch.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/pvbatch.conf
