/* SPDX-License-Identifier: MIT */
/*
 * Entries with fields for the system's journal, by its native protocol
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram each, lines of NAME=value.
 *
 * Not by sd_journal_sendv(3): that waits for as long as the journal takes nothing, and with it
 * would the loop, and reports success where there is no journal. Here sending waits for
 * JOURNAL_WAIT_MS at most.
 *
 * Whatever a value contains, it stays one value: what could end its line is shown as \xNN
 * (core/text.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_SOCKET    "/run/systemd/journal/socket"
#define JOURNAL_ENTRY_MAX 12288U /* a message of the log, and its fields at their longest */
#define JOURNAL_WAIT_MS   10

struct journal_entry {
	char data[JOURNAL_ENTRY_MAX];
	size_t size;
};

/* Adds a field; name: a constant. One that the entry has no room for is left out. */
void journal_add(struct journal_entry *entry, const char *name, const char *value);
void journal_add_number(struct journal_entry *entry, const char *name, unsigned long long value);

/* A socket to send entries with. A descriptor or a negative errno. */
int journal_open(void);

enum journal_status {
	JOURNAL_SENT = 0,
	JOURNAL_FULL = 1, /* it takes nothing now; the entry is lost */
};

/* Sends to the journal whose socket is at `path`. wait: up to JOURNAL_WAIT_MS where it is full.
 * Returns enum journal_status or a negative errno, such as where there is no journal. */
int journal_send(int fd, const char *path, const struct journal_entry *entry, bool wait);
