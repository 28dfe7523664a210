// SPDX-License-Identifier: Apache-2.0
/*
 * What this host can do for microVMs: a list of findings, each with what to do about it. Looks
 * only, changes nothing; needs no privileges (what cannot be seen is said).
 */
#ifndef HUSK_CLI_HOST_H
#define HUSK_CLI_HOST_H

enum finding_status {
    FINDING_OK,
    FINDING_NOTE,    /* works, but something is missing or slower */
    FINDING_MISSING, /* the named feature cannot be used */
    FINDING_FATAL,   /* husk cannot run ordinary guests here */
};

struct finding {
    const char *id; /* stable, for --json: "kvm-device" */
    enum finding_status status;
    char text[160];   /* what was found */
    char advice[200]; /* what to do, "" when nothing is */
};

#define HOST_MAX_FINDINGS 20

/* Fills findings[HOST_MAX_FINDINGS] and returns their number. */
unsigned host_inspect(struct finding *findings);

const char *finding_status_name(enum finding_status status);

#endif
