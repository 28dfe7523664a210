// SPDX-License-Identifier: Apache-2.0
/* What passthrough needs of the VM: memory slots, and KVM's knowledge of what is passed through. */
#include "devices/vfio/vfio.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/memslots.h"

/* KVM's device for it is made with the first file. */
static int set_file(struct machine *machine, int fd, bool add)
{
    int ret = 0;

    pthread_mutex_lock(&machine->kvm_vfio_lock);
    if (machine->kvm_vfio_fd < 0) {
        ret = kvm_create_vfio(&machine->kvm);
        if (ret >= 0) {
            machine->kvm_vfio_fd = ret;
            ret = 0;
        }
    }
    if (!ret)
        ret = kvm_vfio_file(machine->kvm_vfio_fd, fd, add);
    pthread_mutex_unlock(&machine->kvm_vfio_lock);
    return ret;
}

static int add_file(void *arg, int fd)
{
    return set_file(arg, fd, true);
}

static void remove_file(void *arg, int fd)
{
    set_file(arg, fd, false);
}

static int map(void *arg, uint64_t gpa, void *hva, uint64_t size, unsigned *slot)
{
    struct machine *machine = arg;

    return memslots_add(&machine->memslots, gpa, hva, size, slot);
}

static void unmap(void *arg, unsigned slot)
{
    struct machine *machine = arg;

    memslots_remove(&machine->memslots, slot);
}

void machine_vfio_vm(struct machine *machine, struct vfio_vm *out)
{
    *out = (struct vfio_vm){
        .add_file = add_file,
        .remove_file = remove_file,
        .map = map,
        .unmap = unmap,
        .arg = machine,
    };
}
