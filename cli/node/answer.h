// SPDX-License-Identifier: Apache-2.0
/* Answers over HTTP: JSON, texts, and Kubernetes Status objects for what failed. Pure. */
#ifndef HUSK_CLI_NODE_ANSWER_H
#define HUSK_CLI_NODE_ANSWER_H

#include "http/server.h"

/* `text` is taken; NULL: there was no memory for it. */
void answer_json(struct http_response *response, int status, char *text);
void answer_text(struct http_response *response, char *text, const char *content_type);

/* A Status; `pod` may be NULL or "". */
void answer_failure(struct http_response *response, int status, const char *pod,
                    const char *message);
void answer_success(struct http_response *response, const char *pod, const char *message);

/* The same for what a call of the library said. */
void answer_error(struct http_response *response, const char *pod, const struct husk_error *err);

/* The HTTP status for an errno value (positive). */
int answer_status(int code);

/* The text of a Status; the caller's, NULL without memory. status 200 is success. */
char *status_object(int status, const char *pod, const char *message);

/* The Status that ends an exec, as Kubernetes has it: success for 0, else NonZeroExitCode. */
char *status_of_exit(int exit_status);

#endif
