// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "cli/node/problems.h"

static void free_problem(struct problem *problem)
{
    free(problem->file);
    free(problem->pod);
    free(problem->uid);
    free(problem->reason);
    free(problem->message);
}

static char *copy(const char *text)
{
    return strdup(text ? text : "");
}

void problems_add(struct problems *problems, const char *file, const char *pod, const char *uid,
                  const char *reason, const char *message)
{
    struct problem *items =
        realloc(problems->items, (problems->count + 1) * sizeof(*problems->items));
    struct problem problem = {
        .file = copy(file),
        .pod = copy(pod),
        .uid = copy(uid),
        .reason = copy(reason),
        .message = copy(message),
    };

    if (items)
        problems->items = items;
    if (!items || !problem.file || !problem.pod || !problem.uid || !problem.reason ||
        !problem.message) {
        free_problem(&problem);
        return;
    }
    items[problems->count++] = problem;
}

void problems_free(struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        free_problem(&problems->items[i]);
    free(problems->items);
    *problems = (struct problems){0};
}

bool problems_have(const struct problems *problems, const struct problem *problem)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *at = &problems->items[i];

        if (!strcmp(at->file, problem->file) && !strcmp(at->pod, problem->pod) &&
            !strcmp(at->reason, problem->reason) && !strcmp(at->message, problem->message))
            return true;
    }
    return false;
}

const struct problem *problems_of_file(const struct problems *problems, const char *file)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *at = &problems->items[i];

        if (!*at->pod && !strcmp(at->file, file ? file : ""))
            return at;
    }
    return NULL;
}

const struct problem *problems_of_pod(const struct problems *problems, const char *pod)
{
    for (size_t i = 0; i < problems->count; i++) {
        if (!strcmp(problems->items[i].pod, pod))
            return &problems->items[i];
    }
    return NULL;
}
