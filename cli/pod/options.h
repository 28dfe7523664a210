// SPDX-License-Identifier: Apache-2.0
/*
 * The command lines of husk-pod: one constant table of options for each command, and one parser.
 *
 * As users of other container tools expect: letters can be put together (-it), a value stands in
 * the same word (-eA=B, --env=A=B) or in the next, "--" ends the options. A flag may be given as
 * --flag=true or --flag=false. Long names are not abbreviated.
 */
#ifndef HUSK_CLI_POD_OPTIONS_H
#define HUSK_CLI_POD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POD_LIST_MAX 1024u

/* Values of an option that may be given often; texts of argv, the array is ours. Zero-initialise.
 */
struct pod_list {
    const char **items;
    unsigned count;
};

/* Where a value was given, for messages. */
struct pod_place {
    const struct pod_syntax *syntax;
    const char *option; /* "--memory" */
};

struct pod_option {
    char letter;      /* 0: none */
    const char *name; /* without "--"; NULL ends a table */
    bool has_value;
    /* value NULL: a flag without one. Returns 0, or an exit status with the reason printed. */
    int (*set)(void *member, const struct pod_place *place, const char *value);
    size_t member; /* offset in the structure that is filled */
};

struct pod_syntax {
    const char *command;
    const char *help;          /* all of `husk help COMMAND` */
    const char *wants;         /* what the words are, for messages: "the containers to stop" */
    unsigned least, most;      /* of words */
    unsigned words_before_end; /* options end after so many words; 0: they never do */
    bool own_statuses;         /* it returns a program's status: ours are 125 only */
    const struct pod_option *options;
};

/* The end of the help of those that have no others. */
#define STATUSES_TEXT "\nExit status: 0 done; 119 usage error; 125 failure.\n"

enum { POD_HELP_SHOWN = -1 };

/*
 * Fills *out, which the caller has set to its defaults. The words that are not options come to
 * *words, in argv, which is reordered. Returns 0; POD_HELP_SHOWN; or an exit status with the reason
 * printed.
 */
int pod_options_parse(const struct pod_syntax *syntax, void *out, int argc, char **argv,
                      char ***words, unsigned *count);

/* "husk: stop: ... (see: husk help stop)". Returns the command's status for usage errors. */
int pod_usage(const struct pod_syntax *syntax, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Members: bool; const char *, twice; struct pod_list; uint64_t bytes; int64_t seconds; uint32_t
 * thousandths of a processor; int, a signal's number; const char *. */
int pod_set_flag(void *member, const struct pod_place *place, const char *value);
int pod_set_text(void *member, const struct pod_place *place, const char *value);
int pod_set_any_text(void *member, const struct pod_place *place, const char *value); /* "" too */
int pod_add_text(void *member, const struct pod_place *place, const char *value);
int pod_set_size(void *member, const struct pod_place *place, const char *value);
int pod_set_seconds(void *member, const struct pod_place *place, const char *value);
int pod_set_cpus(void *member, const struct pod_place *place, const char *value);
int pod_set_signal(void *member, const struct pod_place *place, const char *value);
int pod_set_keys(void *member, const struct pod_place *place,
                 const char *value); /* --detach-keys */

void pod_list_release(struct pod_list *list);

/* "90", "90s", "5m", "2h", "1h30m" to seconds, at most 10 years; 0 or -EINVAL. */
int duration_parse(const char *text, int64_t *seconds);

#endif
