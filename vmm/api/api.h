// SPDX-License-Identifier: Apache-2.0
/*
 * The control socket of one microVM: an HTTP/1.1 API compatible with Firecracker's, over the public
 * interface of libhusk.
 *
 *     bytes → server.c (HTTP) → api_handle() (router.c) → one file for each group of resources
 *           → struct api (state.h): settings before the start, a struct husk_vm from then on
 *
 * Before InstanceStart the settings are kept as JSON gave them; InstanceStart turns them into a VM
 * (start.c), which runs in this process. A start that fails changes nothing: settings can be
 * corrected and the start tried again. Or the caller brings a VM of its own (api_attach()).
 *
 * Threads: everything here runs on one thread, its caller's, and may block for as long as building
 * a VM or pausing it takes; no thread of a VM ever waits for it. Only the log (log.h) is written
 * to from any thread.
 */
#ifndef HUSK_VMM_API_API_H
#define HUSK_VMM_API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/husk.h"

#define API_ID_DEFAULT          "anonymous-instance"
#define API_PAYLOAD_MAX_DEFAULT 51200u

struct api;

struct api_options {
    const char *id;                    /* 1..64 of A-Z a-z 0-9 -; copied */
    bool no_seccomp;                   /* without system call filters for the VM's threads */
    bool boot_timer;                   /* log how long the guest took to say that its init runs */
    bool enable_pci;                   /* virtio devices on a PCI bus, not in virtio-mmio windows */
    int console_in_fd, console_out_fd; /* the guest's serial port; -1: none. The caller's. */
    /* Microseconds, 0: not known; for the start-up times among the metrics. */
    uint64_t start_time_us, start_time_cpu_us, parent_cpu_time_us;
};

/* What the log shows; NULL and unset members leave it as it is. */
struct api_log_options {
    const char *path;
    const char *level;
    const char *module;
    bool show_level, show_origin;
};

int api_create(const struct api_options *options, struct api **out, struct husk_error *err);

/* Ends the VM when it runs, writes the last metrics, frees everything. NULL is fine. */
void api_destroy(struct api *api);

int api_set_log(struct api *api, const struct api_log_options *options, struct husk_error *err);
int api_set_metrics_path(struct api *api, const char *path, struct husk_error *err);

/* Configure everything from a file with the sections of GET /vm/config, and start the VM. */
int api_load_config_file(struct api *api, const char *path, struct husk_error *err);

/*
 * A VM that the caller made, instead of settings and InstanceStart: what it was configured with,
 * for those that ask. Ids that the caller left to libhusk are those that libhusk gives.
 */
struct api_machine {
    struct husk_vm *vm; /* built; the caller's, and longer-lived than the API */
    const struct husk_vm_options *options;
    const struct husk_drive_options *drives;
    const struct husk_net_options *nets;
    const struct husk_vfio_options *vfios;  /* each has an address */
    const struct husk_vsock_options *vsock; /* NULL: none */
    unsigned drive_count, net_count, vfio_count;
};

/* Serve that VM: the API is started from now on. Nothing of *machine but the VM is kept. */
int api_attach(struct api *api, const struct api_machine *machine, struct husk_error *err);

/* Say one line in the log, at level info or error. */
void api_log_info(struct api *api, const char *format, ...) __attribute__((format(printf, 2, 3)));
void api_log_error(struct api *api, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The VM, for its events; NULL before it is started. */
struct husk_vm *api_vm(const struct api *api);

/* Something happened to the VM: tell the log. */
void api_note_event(struct api *api, const struct husk_event *event);

/* The serial port's output, for the caller's loop: what to wait for (fd -1: nothing) and for how
 * long (-1: for ever), and passing on what is there. What the destination does not take is dropped
 * in the end: a reader that is gone or slow never stops the guest. */
struct pollfd;
void api_console_poll(const struct api *api, struct pollfd *out);
int api_console_timeout_ms(const struct api *api);
void api_console_run(struct api *api);

/* Every minute the metrics are written. When next, in milliseconds (-1: never), and doing it when
 * it is time. */
int api_metrics_timeout_ms(const struct api *api);
void api_metrics_run(struct api *api);

/* Metrics of the socket itself: it is ready now. */
void api_note_ready(struct api *api);

enum api_method { API_GET, API_PUT, API_PATCH, API_DELETE, API_METHODS };

struct api_request {
    enum api_method method;
    const char *path;   /* absolute, as the client wrote it */
    const char *accept; /* of the header, or NULL */
    const char *body;   /* body_len bytes, any */
    size_t body_len;
};

struct api_response {
    int status; /* 200, 204 or 400 */
    const char *content_type;
    char *body; /* owned: free(); NULL when there is none */
    size_t body_len;
    bool deprecated; /* the request used what may go */
};

/* Execute one request. Never fails: a refusal is a response. */
void api_handle(struct api *api, const struct api_request *request, struct api_response *response);

/* A response of the server's own making, 400 with a fault. */
void api_refuse(struct api *api, const char *fault, struct api_response *response);

/*
 * The HTTP side: requests from a listening unix stream socket.
 *
 * Bounded in all directions: connections, memory for each, body bytes, seconds for a request to
 * come in. When all connections are taken, a newcomer takes the place of the one that has been
 * silent the longest, so that nobody can lock others out by holding connections open.
 */
struct api_server;

/* listen_fd stays the caller's; it is made non-blocking. */
int api_server_create(struct api *api, int listen_fd, size_t payload_max_bytes,
                      struct api_server **out, struct husk_error *err);
void api_server_destroy(struct api_server *server);

/* For the caller's loop: readable when api_server_run() has work, which it also has after the
 * timeout (-1: none). _run() never blocks but for what requests ask for. */
int api_server_fd(const struct api_server *server);
int api_server_timeout_ms(struct api_server *server);
void api_server_run(struct api_server *server);

#endif
