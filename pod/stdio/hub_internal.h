// SPDX-License-Identifier: Apache-2.0
/* What the files of the hub share; see hub.h. */
#ifndef HUSK_POD_STDIO_HUB_INTERNAL_H
#define HUSK_POD_STDIO_HUB_INTERNAL_H

#include <sys/queue.h>

#include "pod/stdio/hub.h"

#define HUB_CHUNK (64u << 10)

struct hub_client;

/* One stream of one client: our end of a socket pair. */
struct hub_link {
    struct hub_client *client; /* NULL: this client does not have the stream */
    enum hub_stream stream;
    int fd; /* -1 when it has ended */
    struct event_source *source;
    char *queue; /* output that the client has not taken yet */
    size_t start, len;
    bool input_over; /* the client has ended its direction */
    bool last;       /* ends when the queue is empty */
};

struct hub_client {
    LIST_ENTRY(hub_client) next;
    struct hub *hub;
    bool wait;
    struct hub_link links[HUB_STREAMS];
};

/* The agent's side of one stream. */
struct hub_end {
    struct hub *hub;
    enum hub_stream stream;
    int fd;
    struct event_source *source;
    bool over; /* has ended, or does not exist */
};

struct hub {
    struct event_loop *loop;
    struct hub_options options;
    struct hub_end ends[HUB_STREAMS];
    LIST_HEAD(hub_client_list, hub_client) clients;
    unsigned client_count;
    bool told; /* that it has drained */
    /* Input on its way to the agent. While there is any, no more is read from the clients. */
    char input[HUB_CHUNK];
    size_t input_start, input_len;
    bool input_ends; /* after that */
    char chunk[HUB_CHUNK];
};

/* Watch fd for these events and not at all, hang-ups included, for 0. */
void hub_watch(struct hub *hub, int fd, uint32_t events, event_fn fn, void *arg,
               struct event_source **source);

/* Everything that is to be watched, after something has changed. */
void hub_update(struct hub *hub);

/* hub_input.c: the end that takes input, and whether it takes any now. */
struct hub_end *hub_input_end(struct hub *hub);
bool hub_input_wanted(struct hub *hub);
/* A client's bytes; its end of input. */
void hub_input_put(struct hub *hub, const char *bytes, size_t len);
void hub_input_end_of_client(struct hub *hub);
void hub_input_flush(struct hub *hub);

/* hub_client.c */
void hub_clients_write(struct hub *hub, enum hub_stream stream, const char *bytes, size_t len);
void hub_clients_end(struct hub *hub, enum hub_stream stream);
bool hub_clients_hold_up(const struct hub *hub);
void hub_clients_update(struct hub *hub);
void hub_clients_destroy(struct hub *hub);

#endif
