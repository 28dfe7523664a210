// SPDX-License-Identifier: Apache-2.0
/*
 * The API's state, and what the files that serve resources share. Internal to vmm/api/.
 *
 *        PUT, PATCH, config file                 PATCH, GET, actions
 *     ┌───────────────────────────┐           ┌─────────────────────────┐
 *     │ not started: settings     │ ────────▶ │ started: vm             │
 *     │ (vm is NULL)              │ Instance- │ (settings stay, for GET)│
 *     └───────────────────────────┘ Start     └─────────────────────────┘
 *
 * Invariants: the root drive is drives[0]; ids of drives, and of nets, are unique; every setting in
 * here passed its checks.
 */
#ifndef HUSK_VMM_API_STATE_H
#define HUSK_VMM_API_STATE_H

#include "vmm/api/api.h"
#include "vmm/api/console.h"
#include "vmm/api/log.h"
#include "vmm/api/metrics.h"
#include "vmm/api/settings.h"

struct cpu_settings {
    bool given;
    struct husk_cpuid_change *cpuid; /* owned */
    unsigned cpuid_count;
    struct husk_msr_change *msrs; /* owned */
    unsigned msr_count;
};

struct api {
    char id[API_ID_MAX + 1];
    struct api_options options; /* its id is the array above */

    struct machine_settings machine;
    struct boot_settings boot;
    struct drive_settings drives[API_DEVICES_MAX];
    unsigned drive_count;
    struct net_settings nets[API_DEVICES_MAX];
    unsigned net_count;
    struct vfio_settings vfios[API_DEVICES_MAX];
    unsigned vfio_count;
    struct vsock_settings vsock;
    struct entropy_settings entropy;
    struct serial_settings serial;
    struct cpu_settings cpu;

    struct api_log log;
    struct api_metrics metrics;
    struct api_console console;
    uint64_t started_ns; /* InstanceStart */
    struct husk_vm *vm;  /* NULL: not started */
    bool attached;       /* the VM is somebody else's */
};

/* A request on its way through a handler. */
struct api_call {
    const char *id;     /* from the path, or NULL: there is none, and the body's counts */
    const json_t *body; /* NULL: none */
    json_t *result;     /* the handler's answer, owned by the call; NULL gives 204 */
    char *text;         /* or this, as text/plain; owned */
    bool deprecated;
};

/* Returns 0, or -EINVAL with the fault. A handler that fails has changed nothing. */
typedef int (*api_handler)(struct api *api, struct api_call *call, struct api_fault *fault);

/* boot.c */
int boot_put(struct api *api, struct api_call *call, struct api_fault *fault);
/* cpu.c */
int cpu_put(struct api *api, struct api_call *call, struct api_fault *fault);
void cpu_release(struct cpu_settings *cpu);
/* drives.c */
int drive_put(struct api *api, struct api_call *call, struct api_fault *fault);
int drive_patch(struct api *api, struct api_call *call, struct api_fault *fault);
int drive_delete(struct api *api, struct api_call *call, struct api_fault *fault);
/* machine.c */
void machine_defaults(struct machine_settings *machine);
int machine_get(struct api *api, struct api_call *call, struct api_fault *fault);
int machine_put(struct api *api, struct api_call *call, struct api_fault *fault);
int machine_patch(struct api *api, struct api_call *call, struct api_fault *fault);
/* nets.c */
int net_put(struct api *api, struct api_call *call, struct api_fault *fault);
int net_patch(struct api *api, struct api_call *call, struct api_fault *fault);
int net_delete(struct api *api, struct api_call *call, struct api_fault *fault);
/* vfios.c */
int vfio_put(struct api *api, struct api_call *call, struct api_fault *fault);
int vfio_delete(struct api *api, struct api_call *call, struct api_fault *fault);
/* devices.c */
int vsock_put(struct api *api, struct api_call *call, struct api_fault *fault);
int entropy_put(struct api *api, struct api_call *call, struct api_fault *fault);
int serial_put(struct api *api, struct api_call *call, struct api_fault *fault);
/* observe.c */
int logger_put(struct api *api, struct api_call *call, struct api_fault *fault);
int metrics_put(struct api *api, struct api_call *call, struct api_fault *fault);
/* instance.c */
int instance_get(struct api *api, struct api_call *call, struct api_fault *fault);
int version_get(struct api *api, struct api_call *call, struct api_fault *fault);
int vm_patch(struct api *api, struct api_call *call, struct api_fault *fault);
int vm_config_get(struct api *api, struct api_call *call, struct api_fault *fault);
int action_put(struct api *api, struct api_call *call, struct api_fault *fault);

/* start.c */
int start_vm(struct api *api, struct api_fault *fault);
/* The kernel command line with what the root drive adds, or NULL without memory; free(). */
char *command_line_of(const struct api *api);

/* config_file.c: `sections` is the whole file. */
int config_apply(struct api *api, const json_t *sections, struct api_fault *fault);

/* router.c: which counters requests of a method have, as bits; what went before a handler's own
 * words. */
uint32_t router_counters(enum api_method method);

/* api.c: refusals at the wrong time, with Firecracker's words. 0 or -EINVAL. */
int need_not_started(const struct api *api, struct api_fault *fault);
int need_started(const struct api *api, struct api_fault *fault);
/* Devices that come and go need a bus that can tell the guest. */
int need_pci(const struct api *api, struct api_fault *fault);

/* What goes before everything that is wrong with a body. */
#define BODY_FAULT "An error occurred when deserializing the json body of a request"

/* Read the call's body. */
int read_body(const struct api_call *call, const struct json_shape *shape, void *out,
              struct api_fault *fault);

#endif
