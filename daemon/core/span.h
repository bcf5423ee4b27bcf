/* SPDX-License-Identifier: MIT */
/* Bytes within a blob, or borrowed bytes where blob is NULL. */
#pragma once

#include "core/blob.h"
#include "procpool/value.h"

struct span {
	struct blob *blob; /* what keeps the bytes alive; NULL: whoever handed the span out says how
			      long */
	const uint8_t *data;
	size_t size;
};

static inline struct span span_of_blob(struct blob *blob)
{
	return (struct span){blob, blob->data, blob->size};
}

static inline struct procpool_value span_value(struct span span)
{
	return (struct procpool_value){span.data, span.size};
}

/* A span that lives as long as it is held: shares a blob, copies borrowed bytes. size 0 without
 * memory. */
static inline struct span span_hold(struct span span)
{
	if (span.blob) {
		blob_ref(span.blob);
		return span;
	}
	struct blob *copy = blob_copy(span.data, span.size);
	return copy ? span_of_blob(copy) : (struct span){0};
}
