// SPDX-License-Identifier: Apache-2.0
/*
 * A VM object of the public interface, between its own files: husk.c (its life), husk_plug.c
 * (devices that come and go) and husk_live.c (what is changed, asked and typed while it lives). A
 * configuration until it is built, and a machine or the process of one from then on.
 */
#ifndef HUSK_VMM_HUSK_VM_H
#define HUSK_VMM_HUSK_VM_H

#include <stdbool.h>

#include "base/log.h"
#include "husk/husk.h"
#include "vmm/config.h"
#include "vmm/process/client.h"

struct console_callback;
struct machine;

struct husk_vm {
    struct machine_config config;
    enum husk_mode mode;
    struct process_config process_config; /* jailed mode */
    struct log log;
    husk_log_fn log_fn;
    void *log_arg;
    husk_console_fn console_write; /* or NULL: the console has descriptors */
    void *console_arg;
    struct console_callback *console; /* NULL until built */
    bool build_failed;
    pthread_mutex_t plug_lock; /* one device at a time is plugged */
    /* One of them from the build on: */
    struct machine *machine;    /* in-process mode */
    struct vm_process *process; /* jailed mode */
};

static inline bool husk_vm_is_built(const struct husk_vm *vm)
{
    return vm->machine || vm->process;
}

/* -EINVAL with err filled (`what` cannot be done) after the build, and before it. */
int husk_vm_check_not_built(const struct husk_vm *vm, const char *what, struct husk_error *err);
int husk_vm_check_built(const struct husk_vm *vm, const char *what, struct husk_error *err);

/* ---- husk_plug.c: devices of a VM that is built ---- */

/* Whether they can come and go, before anything is opened; the machine checks again. */
int husk_vm_check_transport(const struct husk_vm *vm, const char *what, struct husk_error *err);
/* What a jailed VM's process has no more. plug_lock held. */
void husk_vm_forget_gone(struct husk_vm *vm);
/* Exchange each for a duplicate of its own; on failure none is the caller's. */
int husk_vm_duplicate(int *fds, unsigned count);
void husk_vm_close_all(const int *fds, unsigned count);

#endif
