// SPDX-License-Identifier: Apache-2.0
/* The parameters of requests, as a table: who takes which, and of what kind it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/node/route.h"

#define SECONDS_MAX 1000000000u
#define LINES_MAX   1000000000u
#define COLUMNS_MAX 65535u

enum kind { TEXT, FLAG, NUMBER, SECONDS };

#define FOR(verb) (1u << (verb))
#define OF_PODS                                                                              \
    (FOR(VERB_GET) | FOR(VERB_DELETE) | FOR(VERB_START) | FOR(VERB_STOP) | FOR(VERB_STATS) | \
     FOR(VERB_LOG) | FOR(VERB_EXEC) | FOR(VERB_ATTACH) | FOR(VERB_PORT_FORWARD))
#define OF_PROCESSES (FOR(VERB_EXEC) | FOR(VERB_ATTACH))
#define AT(member)   offsetof(struct parameters, member)

static const struct parameter {
    const char *name;
    unsigned verbs;
    enum kind kind;
    size_t at;
    uint64_t min, max;
} table[] = {
    {"labelSelector", FOR(VERB_LIST), TEXT, AT(label_selector), 0, 0},
    {"namespace", OF_PODS, TEXT, AT(space), 0, 0},
    {"container", OF_PROCESSES | FOR(VERB_LOG), TEXT, AT(container), 0, 0},
    {"network", FOR(VERB_APPLY), TEXT, AT(network), 0, 0},
    {"lenient", FOR(VERB_APPLY), FLAG, AT(lenient), 0, 0},
    {"address", FOR(VERB_PORT_FORWARD), TEXT, AT(address), 0, 0},
    {"port", FOR(VERB_PORT_FORWARD), NUMBER, AT(port), 1, 65535},
    {"stdin", OF_PROCESSES, FLAG, AT(stdin_open), 0, 0},
    {"tty", FOR(VERB_EXEC), FLAG, AT(tty), 0, 0},
    {"columns", FOR(VERB_EXEC), NUMBER, AT(columns), 1, COLUMNS_MAX},
    {"rows", FOR(VERB_EXEC), NUMBER, AT(rows), 1, COLUMNS_MAX},
    {"follow", FOR(VERB_LOG) | FOR(VERB_EVENTS), FLAG, AT(follow), 0, 0},
    {"previous", FOR(VERB_LOG), FLAG, AT(previous), 0, 0},
    {"timestamps", FOR(VERB_LOG), FLAG, AT(timestamps), 0, 0},
    {"tailLines", FOR(VERB_LOG), NUMBER, AT(tail_lines), 0, LINES_MAX},
    {"sinceSeconds", FOR(VERB_LOG), SECONDS, AT(since_seconds), 0, SECONDS_MAX},
    {"resourceVersion", FOR(VERB_EVENTS), NUMBER, AT(after), 0, INT64_MAX},
    {"gracePeriodSeconds", FOR(VERB_STOP) | FOR(VERB_DELETE), SECONDS, AT(grace_seconds), 0,
     SECONDS_MAX},
};

void parameters_init(struct parameters *parameters)
{
    *parameters = (struct parameters){.since_seconds = -1, .grace_seconds = -1};
}

void parameters_free(struct parameters *parameters)
{
    free(parameters->label_selector);
    free(parameters->space);
    free(parameters->container);
    free(parameters->network);
    free(parameters->address);
    for (unsigned i = 0; i < parameters->command_words; i++)
        free(parameters->command[i]);
    parameters_init(parameters);
}

static int refuse(const char *name, const char *why, struct husk_error *err)
{
    return error_set(err, EINVAL, name, "is no parameter of this request", "%s", why);
}

static int add_word(struct parameters *parameters, const char *value, struct husk_error *err)
{
    char *word;

    if (parameters->command_words == COMMAND_WORDS_MAX)
        return refuse("command", "there are too many of it", err);
    word = strdup(value);
    if (!word)
        return error_set(err, ENOMEM, "command", "cannot keep the parameter", NULL);
    parameters->command[parameters->command_words++] = word;
    return 0;
}

static int set_text(char **at, const char *name, const char *value, struct husk_error *err)
{
    char *text;

    if (*at)
        return refuse(name, "it is given twice", err);
    if (!*value)
        return refuse(name, "it is empty", err);
    text = strdup(value);
    if (!text)
        return error_set(err, ENOMEM, name, "cannot keep the parameter", NULL);
    *at = text;
    return 0;
}

static int set_flag(bool *at, const char *name, const char *value, struct husk_error *err)
{
    *at = !strcmp(value, "true") || !strcmp(value, "1") || !*value;
    if (!*at && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
        return refuse(name, "it is true or false", err);
    return 0;
}

static int set_number(const struct parameter *parameter, void *at, const char *value,
                      struct husk_error *err)
{
    uint64_t number;

    if (parse_u64(value, parameter->min, parameter->max, &number))
        return error_set(err, EINVAL, parameter->name, "is no parameter of this request",
                         "it is a number from %llu to %llu", (unsigned long long)parameter->min,
                         (unsigned long long)parameter->max);
    if (parameter->kind == SECONDS)
        *(int64_t *)at = (int64_t)number;
    else
        *(uint64_t *)at = number;
    return 0;
}

int parameters_add(struct parameters *parameters, enum verb verb, const char *name,
                   const char *value, struct husk_error *err)
{
    if (verb == VERB_EXEC && !strcmp(name, "command"))
        return add_word(parameters, value, err);
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        const struct parameter *parameter = &table[i];
        char *at = (char *)parameters + parameter->at;

        if (strcmp(parameter->name, name) != 0 || !(parameter->verbs & FOR(verb)))
            continue;
        if (parameter->kind == TEXT)
            return set_text((char **)(void *)at, name, value, err);
        if (parameter->kind == FLAG)
            return set_flag((bool *)at, name, value, err);
        parameters->has_tail |= parameter->at == AT(tail_lines);
        return set_number(parameter, at, value, err);
    }
    return refuse(name, "there is none of this name", err);
}
