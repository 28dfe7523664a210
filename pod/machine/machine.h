// SPDX-License-Identifier: Apache-2.0
/*
 * The virtual machine of a container, or of a pod's containers: from layers in the store and a few
 * sizes to a VM of libhusk that is ready to be built, and to what the agent in it is to be asked
 * for.
 *
 *     pod_machine_create(&place, &options, &machine, &err)
 *     pod_machine_vm_options(machine)->log = …        log, id, jail: what the caller knows better
 *     pod_machine_new_vm(machine, &vm, &err)          then husk_vm_build(), husk_vm_start()
 *     … HUSK_EVENT_READY says that the agent listens: connect to place.vsock_path, send
 * pod_machine_requests(), "create" with pod_machine_rootfs() … husk_vm_free(vm)
 *     pod_machine_destroy(machine)                    after the VM: it holds the VM's console
 *
 * Nothing is started here. Functions block for file access only, mostly a few milliseconds; the
 * first time that a kernel with modules is used they are unpacked, which takes a second.
 *
 * What the guest finds: a kernel (kernel.h) with the agent as its first process (initrd.h), the
 * layers as read-only file systems that their lock keeps in the store, the scratch disk
 * (scratch.h), a disk for each further volume, a socket device, an entropy device, perhaps a
 * network interface, and a serial console that only speaks when something is wrong.
 */
#ifndef HUSK_POD_MACHINE_MACHINE_H
#define HUSK_POD_MACHINE_MACHINE_H

#include <jansson.h>
#include <stddef.h>

#include "husk/error.h"
#include "husk/husk.h"
#include "pod/image/store.h"
#include "pod/machine/layers.h"
#include "pod/machine/options.h"

struct pod_machine;

/* What the machine is made from. Everything stays the caller's and is used by create only. */
struct pod_machine_place {
    const struct image_store *store;
    const struct machine_image *images; /* one for each container, or for several */
    unsigned image_count;               /* 1..IMAGES_MAX */
    int dir;                /* a directory of the container's own: scratch.img is in it, and is
                               made when it is not there */
    const char *vsock_path; /* husk_vsock_options.path: in a directory of its own, at most 96
                               bytes; /proc/self/fd/N/NAME is a short name for any */
};

/*
 * Opens and prepares everything. `options` may hold zeroes for defaults. -errno with err naming
 * file, layer or option; nothing is left behind but a finished scratch.img.
 */
int pod_machine_create(const struct pod_machine_place *place,
                       const struct pod_machine_options *options, struct pod_machine **out,
                       struct husk_error *err);

/* The machine's own options, to be completed before pod_machine_new_vm(). What is set: kernel,
 * initrd, command line, memory, vcpus, the console, vmm_path when husk-vmm lies beside this
 * program. */
struct husk_vm_options *pod_machine_vm_options(struct pod_machine *machine);

/* husk_vm_new() and all its devices, once: the disks' descriptors are the VM's then. The VM is the
 * caller's; it must be freed before the machine is destroyed. */
int pod_machine_new_vm(struct pod_machine *machine, struct husk_vm **out, struct husk_error *err);

/* What to ask the agent before the container's "create": an array of {"method", "params"}, in
 * order. Borrowed. */
const json_t *pod_machine_requests(const struct pod_machine *machine);

/* An array: the member "rootfs" of "create" for containers of each of the place's images. Borrowed.
 */
const json_t *pod_machine_rootfs(const struct pod_machine *machine);

/*
 * The last lines of the guest's console, printable ASCII and newlines, "" when it said nothing.
 * Any thread. Returns the length.
 */
size_t pod_machine_last_words(struct pod_machine *machine, char *text, size_t size);

/*
 * How a machine stopped that nobody wanted to stop, in one line: "the guest's kernel panicked: …".
 * `event` is HUSK_EVENT_STOPPED, or NULL when it runs and the agent does not answer. Fills err and
 * returns its -errno (-EIO, -ENOMEM when the guest had too little, -ETIMEDOUT for NULL).
 */
int pod_machine_explain(struct pod_machine *machine, const struct husk_event *event,
                        struct husk_error *err);

/* Takes NULL. */
void pod_machine_destroy(struct pod_machine *machine);

#endif
