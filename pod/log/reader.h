// SPDX-License-Identifier: Apache-2.0
/*
 * The files of a container's log as one text, the oldest first, while the supervisor may write and
 * rotate them: NAME is the newest, NAME.1 the one before it, and so on.
 */
#ifndef HUSK_POD_LOG_READER_H
#define HUSK_POD_LOG_READER_H

#include <sys/types.h>

#include "pod/log/line.h"

#define LOG_READER_NAME_MAX 31u

struct log_reader {
    int dir;                            /* where they are; the caller's */
    char name[LOG_READER_NAME_MAX + 1]; /* of the newest */
    int fd;                             /* the file that is read; -1: none yet, or no more */
    dev_t dev;                          /* of that file */
    ino_t ino;
    bool renamed; /* it is not the newest any more */
    char *buffer; /* ours */
    size_t start, end, size;
    unsigned long damaged; /* lines that are none, which were skipped */
};

/* Begins with the oldest file. A name has at most LOG_READER_NAME_MAX bytes. */
void log_reader_init(struct log_reader *reader, int dir, const char *name);
void log_reader_close(struct log_reader *reader);

/* The next line: 1 with *out filled, valid until the next call; 0 when there is none (yet: what is
 * written later comes later); -errno. Does not wait. */
int log_reader_next(struct log_reader *reader, struct log_line *out);

#endif
