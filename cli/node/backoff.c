// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "cli/node/backoff.h"

void backoff_init(struct backoff *backoff, const struct backoff_policy *policy)
{
    *backoff = (struct backoff){.policy = *policy};
}

static void free_pod(struct backoff_pod *pod)
{
    free(pod->name);
    free(pod->hash);
    free(pod->asked_uid);
}

void backoff_free(struct backoff *backoff)
{
    for (size_t i = 0; i < backoff->count; i++)
        free_pod(&backoff->pods[i]);
    free(backoff->pods);
    *backoff = (struct backoff){0};
}

static bool set_text(char **at, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return false;
    free(*at);
    *at = copy;
    return true;
}

static struct backoff_pod *add(struct backoff *backoff, const char *name, const char *hash)
{
    struct backoff_pod *pods =
        realloc(backoff->pods, (backoff->count + 1) * sizeof(*backoff->pods));
    struct backoff_pod pod = {.name = strdup(name), .hash = strdup(hash), .used = true};

    if (pods)
        backoff->pods = pods;
    if (!pods || !pod.name || !pod.hash) {
        free_pod(&pod);
        return NULL;
    }
    pods[backoff->count] = pod;
    return &pods[backoff->count++];
}

struct backoff_pod *backoff_of(struct backoff *backoff, const char *name, const char *hash)
{
    for (size_t i = 0; i < backoff->count; i++) {
        struct backoff_pod *pod = &backoff->pods[i];

        if (strcmp(pod->name, name) != 0)
            continue;
        pod->used = true;
        if (strcmp(pod->hash, hash) != 0) {
            if (!set_text(&pod->hash, hash))
                return NULL;
            backoff_clear(pod);
        }
        return pod;
    }
    return add(backoff, name, hash);
}

bool backoff_may_try(const struct backoff_pod *pod, uint64_t now_ns)
{
    return now_ns >= pod->next_ns;
}

void backoff_note(const struct backoff *backoff, struct backoff_pod *pod, uint64_t now_ns)
{
    const struct backoff_policy *policy = &backoff->policy;

    if (pod->wait_ns && now_ns - pod->tried_ns >= policy->reset_ns)
        backoff_clear(pod);
    if (!pod->wait_ns)
        pod->wait_ns = policy->first_ns;
    pod->tried_ns = now_ns;
    pod->next_ns = now_ns + pod->wait_ns;
    pod->wait_ns = min_u64(pod->wait_ns * 2, policy->max_ns);
    pod->failures++;
}

void backoff_clear(struct backoff_pod *pod)
{
    pod->wait_ns = 0;
    pod->next_ns = 0;
    pod->failures = 0;
}

void backoff_sweep(struct backoff *backoff)
{
    size_t kept = 0;

    for (size_t i = 0; i < backoff->count; i++) {
        struct backoff_pod *pod = &backoff->pods[i];

        if (!pod->used) {
            free_pod(pod);
            continue;
        }
        pod->used = false;
        backoff->pods[kept++] = *pod;
    }
    backoff->count = kept;
}

uint64_t backoff_next_ns(const struct backoff *backoff, uint64_t now_ns)
{
    uint64_t next_ns = 0;

    for (size_t i = 0; i < backoff->count; i++) {
        uint64_t at_ns = backoff->pods[i].next_ns;

        if (at_ns > now_ns && (!next_ns || at_ns < next_ns))
            next_ns = at_ns;
    }
    return next_ns;
}

bool backoff_ask(struct backoff_pod *pod, const char *uid)
{
    return set_text(&pod->asked_uid, uid);
}

bool backoff_was_asked(const struct backoff_pod *pod, const char *uid)
{
    return pod->asked_uid && !strcmp(pod->asked_uid, uid);
}
