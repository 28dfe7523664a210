// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/node/events.h"

#define NS_PER_S 1000000000ll

const char events_gone[] =
    "events behind this resourceVersion are not there any more, or it is not "
    "of this run of the agent: begin again without one";

struct events {
    int fd;
    char *node;
    pthread_mutex_t lock;
    char *texts[EVENTS_KEPT]; /* of event N at N % EVENTS_KEPT */
    uint64_t before, newest;  /* the first is before + 1 */
    unsigned lost_lines;
    int followers[EVENTS_FOLLOWERS];
    unsigned follower_count;
};

void time_text(int64_t ns, char out[TIME_BYTES])
{
    time_t seconds = (time_t)(ns / NS_PER_S);
    size_t len;
    struct tm tm;

    gmtime_r(&seconds, &tm);
    len = strftime(out, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, TIME_BYTES - len, ".%06dZ", (int)(ns % NS_PER_S / 1000));
}

int64_t realtime_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

struct events *events_create(int fd, const char *node, uint64_t before)
{
    struct events *events = calloc(1, sizeof(*events));

    if (!events)
        return NULL;
    events->fd = fd;
    events->before = events->newest = before;
    events->node = strdup(node);
    pthread_mutex_init(&events->lock, NULL);
    if (!events->node) {
        events_destroy(events);
        return NULL;
    }
    return events;
}

void events_destroy(struct events *events)
{
    if (!events)
        return;
    for (unsigned i = 0; i < EVENTS_KEPT; i++)
        free(events->texts[i]);
    pthread_mutex_destroy(&events->lock);
    free(events->node);
    free(events);
}

/* "NAMESPACE/NAME" in its two halves; `space` is "" for what has none. */
static const char *split(const struct event *event, char *space, size_t size)
{
    const char *slash = strcmp(event->kind, "Pod") ? NULL : strchr(event->name, '/');

    snprintf(space, size, "%s", strcmp(event->kind, "Pod") ? "" : "default");
    if (!slash)
        return event->name;
    snprintf(space, size, "%.*s", (int)(slash - event->name), event->name);
    return slash + 1;
}

static json_t *involved(const struct event *event, const char *space, const char *name)
{
    json_t *object = json_pack("{s:s, s:s}", "kind", event->kind, "name", name);

    if (*space)
        json_object_set_new(object, "namespace", json_string(space));
    if (event->uid)
        json_object_set_new(object, "uid", json_string(event->uid));
    return object;
}

/* The Event; a text that is no UTF-8 cannot be in it, and makes it NULL. */
static json_t *describe(struct events *events, const struct event *event)
{
    char at[TIME_BYTES], version[24], id[96], space[256];
    const char *name = split(event, space, sizeof(space));
    json_t *object;

    time_text(realtime_ns(), at);
    snprintf(version, sizeof(version), "%llu", (unsigned long long)events->newest);
    snprintf(id, sizeof(id), "%.64s.%s", name, version);
    object =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:i, s:{s:s, s:s}}",
                  "apiVersion", "v1", "kind", "Event", "metadata", "name", id, "namespace",
                  *space ? space : "default", "resourceVersion", version, "creationTimestamp", at,
                  "type", event->warning ? "Warning" : "Normal", "reason", event->reason, "message",
                  event->message, "firstTimestamp", at, "lastTimestamp", at, "count", 1, "source",
                  "component", "husk-node", "host", events->node);
    if (object)
        json_object_set_new(object, "involvedObject", involved(event, space, name));
    return object;
}

/* One line, or none: nobody waits for who reads it. */
static void print(struct events *events, json_t *object)
{
    struct pollfd at = {.fd = events->fd, .events = POLLOUT};
    char *text;

    if (events->fd < 0)
        return;
    if (poll(&at, 1, 0) != 1 || !(at.revents & POLLOUT)) {
        events->lost_lines++;
        return;
    }
    if (events->lost_lines)
        json_object_set_new(object, "linesLostBefore", json_integer(events->lost_lines));
    text = json_dumps(object, JSON_COMPACT);
    if (text && dprintf(events->fd, "%s\n", text) > 0)
        events->lost_lines = 0;
    free(text);
}

void events_add(struct events *events, const struct event *event)
{
    char *text, **place;
    json_t *object;

    pthread_mutex_lock(&events->lock);
    events->newest++;
    object = describe(events, event);
    text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text) {
        place = &events->texts[events->newest % EVENTS_KEPT];
        free(*place);
        *place = text;
        print(events, object);
        for (unsigned i = 0; i < events->follower_count; i++)
            eventfd_signal(events->followers[i]);
    } else {
        events->newest--;
    }
    json_decref(object);
    pthread_mutex_unlock(&events->lock);
}

/* The number of the first behind `after`, which may not have been given yet; 0: see -ESTALE. */
static uint64_t first_behind(const struct events *events, uint64_t after)
{
    uint64_t count = events->newest - events->before;
    uint64_t oldest = (count > EVENTS_KEPT ? events->newest - EVENTS_KEPT : events->before) + 1;

    if (after == 0)
        return oldest;
    return after < oldest - 1 || after > events->newest ? 0 : after + 1;
}

int events_check(struct events *events, uint64_t after)
{
    uint64_t first;

    pthread_mutex_lock(&events->lock);
    first = first_behind(events, after);
    pthread_mutex_unlock(&events->lock);
    return first ? 0 : -ESTALE;
}

int events_list(struct events *events, uint64_t after, char **text)
{
    size_t len;
    FILE *out;
    uint64_t first;

    *text = NULL;
    out = open_memstream(text, &len);
    if (!out)
        return -ENOMEM;
    pthread_mutex_lock(&events->lock);
    first = first_behind(events, after);
    fprintf(
        out,
        "{\"apiVersion\":\"v1\",\"kind\":\"EventList\",\"metadata\":{\"resourceVersion\":\"%llu\"},"
        "\"items\":[",
        (unsigned long long)events->newest);
    for (uint64_t i = first; first && i <= events->newest; i++)
        fprintf(out, "%s%s", i == first ? "" : ",", events->texts[i % EVENTS_KEPT]);
    pthread_mutex_unlock(&events->lock);
    fputs("]}\n", out);
    if (fclose(out) || !first) {
        free(*text);
        *text = NULL;
        return first ? -ENOMEM : -ESTALE;
    }
    return 0;
}

int events_next(struct events *events, uint64_t *after, char **line)
{
    uint64_t number;
    int ret = 0;

    *line = NULL;
    pthread_mutex_lock(&events->lock);
    number = first_behind(events, *after);
    if (number == 0)
        ret = -ESTALE;
    else if (number > events->newest)
        ret = -EAGAIN;
    else if (asprintf(line, "{\"type\":\"ADDED\",\"object\":%s}\n",
                      events->texts[number % EVENTS_KEPT]) < 0)
        ret = -ENOMEM;
    if (ret == 0)
        *after = number;
    else
        *line = NULL;
    pthread_mutex_unlock(&events->lock);
    return ret;
}

uint64_t events_newest(struct events *events)
{
    uint64_t newest;

    pthread_mutex_lock(&events->lock);
    newest = events->newest;
    pthread_mutex_unlock(&events->lock);
    return newest;
}

bool events_follow(struct events *events, int eventfd)
{
    bool room;

    pthread_mutex_lock(&events->lock);
    room = events->follower_count < EVENTS_FOLLOWERS;
    if (room)
        events->followers[events->follower_count++] = eventfd;
    pthread_mutex_unlock(&events->lock);
    return room;
}

void events_unfollow(struct events *events, int eventfd)
{
    pthread_mutex_lock(&events->lock);
    for (unsigned i = 0; i < events->follower_count; i++) {
        if (events->followers[i] != eventfd)
            continue;
        events->followers[i] = events->followers[--events->follower_count];
        break;
    }
    pthread_mutex_unlock(&events->lock);
}
