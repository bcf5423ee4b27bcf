/* SPDX-License-Identifier: MIT */
/* The methods that clients call: params in, the core asked, an answer in the peer's output. */
#pragma once

struct blob;
struct peer;
struct request;

/* Handles a call. blob is what its bytes lie in, or NULL: they are borrowed. */
void requests_handle(struct peer *peer, const struct request *request, struct blob *blob);
