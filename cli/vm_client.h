// SPDX-License-Identifier: Apache-2.0
/*
 * A client of the API socket of a VM (docs/api.md): one request a connection, its answer as bytes.
 *
 * What answers is a process that serves a guest, so its bytes are bounded in length and time, and
 * whatever they are, they are an answer or an error.
 */
#ifndef HUSK_CLI_VM_CLIENT_H
#define HUSK_CLI_VM_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "husk/error.h"

#define VM_ANSWER_MAX 1048576u /* bytes, head and body */

struct vm_answer {
    int status;       /* 100..599 */
    const char *body; /* body_len bytes of what was parsed */
    size_t body_len;
};

/*
 * An HTTP/1.1 answer (RFC 9112) from what has come so far; `ended` when nothing more will. Returns
 * 1 with *out filled, 0 when more is needed, -EPROTO for what is no answer.
 */
int vm_answer_parse(const char *bytes, size_t len, bool ended, struct vm_answer *out);

struct vm_socket {
    const char *path;  /* the caller's */
    char refusal[640]; /* the VM's words after -ECANCELED: one printable line */
};

/*
 * Send a request, `body` (stays the caller's) may be NULL, and wait up to two minutes for the
 * answer: what it asks for may take the VM a while. Returns 0 with *result the JSON of a 200, to be
 * released, or NULL for a 204; -ECANCELED when the VM refused, with its words in the socket and no
 * error; or another -errno.
 */
int vm_request(struct vm_socket *socket, const char *verb, const char *path, const json_t *body,
               json_t **result, struct husk_error *err);

#endif
