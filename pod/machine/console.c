// SPDX-License-Identifier: Apache-2.0
/* The console's last lines, and what they say of a machine that ended: see console.h. */
#include "pod/machine/console.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

void console_tail_init(struct console_tail *tail)
{
    pthread_mutex_init(&tail->lock, NULL);
    tail->start = tail->len = 0;
}

void console_tail_destroy(struct console_tail *tail)
{
    pthread_mutex_destroy(&tail->lock);
}

void console_tail_write(void *arg, const void *bytes, size_t len)
{
    struct console_tail *tail = arg;
    const char *from = bytes;

    if (len > CONSOLE_TAIL_BYTES) {
        from += len - CONSOLE_TAIL_BYTES;
        len = CONSOLE_TAIL_BYTES;
    }
    pthread_mutex_lock(&tail->lock);
    for (size_t i = 0; i < len; i++)
        tail->bytes[(tail->start + tail->len + i) % CONSOLE_TAIL_BYTES] = from[i];
    tail->len += len;
    if (tail->len > CONSOLE_TAIL_BYTES) {
        tail->start = (tail->start + tail->len) % CONSOLE_TAIL_BYTES;
        tail->len = CONSOLE_TAIL_BYTES;
    }
    pthread_mutex_unlock(&tail->lock);
}

/* Takes the ring's content apart: no empty lines, nothing that a terminal would obey. */
static size_t copy_lines(const struct console_tail *tail, char out[CONSOLE_TAIL_BYTES + 1])
{
    size_t len = 0;

    for (size_t i = 0; i < tail->len; i++) {
        char byte = tail->bytes[(tail->start + i) % CONSOLE_TAIL_BYTES];

        if (byte == '\r' || (byte == '\n' && (!len || out[len - 1] == '\n')))
            continue;
        out[len++] = (char)((byte >= 0x20 && byte < 0x7f) || byte == '\n' ? byte : '?');
    }
    if (len && out[len - 1] != '\n')
        out[len++] = '\n';
    return len;
}

size_t console_tail_read(struct console_tail *tail, char *text, size_t size)
{
    char lines[CONSOLE_TAIL_BYTES + 1];
    size_t len, skip = 0;

    if (!size)
        return 0;
    pthread_mutex_lock(&tail->lock);
    len = copy_lines(tail, lines);
    pthread_mutex_unlock(&tail->lock);
    if (len > size - 1) {
        const char *end;

        skip = len - (size - 1);
        /* From the beginning of a line on; of one that is too long, its end. */
        end = lines[skip - 1] == '\n' ? NULL : memchr(lines + skip, '\n', len - skip - 1);
        if (end)
            skip = (size_t)(end + 1 - lines);
    }
    memcpy(text, lines + skip, len - skip);
    text[len - skip] = '\0';
    return len - skip;
}

/* The text of a kernel's panic, cut out of `lines`, or NULL. */
static const char *find_panic(char *lines)
{
    static const char mark[] = "Kernel panic - not syncing: ";
    char *found = strstr(lines, mark);

    if (!found)
        return NULL;
    found += sizeof(mark) - 1;
    found[strcspn(found, "\n")] = '\0';
    return found;
}

static const char *last_line(char *lines)
{
    size_t len = strlen(lines);
    char *newline;

    if (len)
        lines[len - 1] = '\0';
    newline = strrchr(lines, '\n');
    return newline ? newline + 1 : lines;
}

static int explain_panic(const char *panic, struct husk_error *err)
{
    /* mm/oom_kill.c: nobody is left who could be killed. */
    if (strstr(panic, "deadlocked on memory") || strstr(panic, "Out of memory"))
        return error_set(err, ENOMEM, "machine", "the guest has too little memory", "%s", panic);
    return error_set(err, EIO, "machine", "the guest's kernel panicked", "%s", panic);
}

int console_explain(struct console_tail *tail, const struct husk_event *event,
                    struct husk_error *err)
{
    char lines[CONSOLE_TAIL_BYTES + 2];
    const char *panic, *last;

    if (event && event->reason == HUSK_STOP_MONITOR_ERROR) {
        if (err)
            *err = event->error;
        return event->error.code ? -event->error.code : -EIO;
    }
    console_tail_read(tail, lines, sizeof(lines));
    /* A kernel without a driver for pvpanic, or that has not come to load it, resets. */
    panic = find_panic(lines);
    if (panic)
        return explain_panic(panic, err);
    last = last_line(lines);
    if (!event)
        return error_set(err, ETIMEDOUT, "machine", "the agent in the guest does not answer",
                         "%s%s", *last ? "the console's last line: " : "the console is silent",
                         last);
    return error_set(err, EIO, "machine",
                     event->reason == HUSK_STOP_TRIPLE_FAULT
                         ? "the guest's processor gave up (triple fault)"
                     : event->reason == HUSK_STOP_PANIC ? "the guest's kernel panicked"
                                                        : "the guest ended by itself",
                     "%s%s", *last ? "the console's last line: " : "the console is silent", last);
}
