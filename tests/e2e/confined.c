// SPDX-License-Identifier: Apache-2.0
/*
 * The husk command with its VM in-process and the VM's threads under their seccomp filters: linked
 * with --wrap=husk_vm_new. The end-to-end tests run with it as they do with husk.
 */
#include "husk/husk.h"

int __real_husk_vm_new(const struct husk_vm_options *options, struct husk_vm **out,
                       struct husk_error *err);
int __wrap_husk_vm_new(const struct husk_vm_options *options, struct husk_vm **out,
                       struct husk_error *err);

int __wrap_husk_vm_new(const struct husk_vm_options *options, struct husk_vm **out,
                       struct husk_error *err)
{
    struct husk_vm_options confined = *options;

    confined.mode = HUSK_MODE_IN_PROCESS;
    confined.confine_threads = 1;
    return __real_husk_vm_new(&confined, out, err);
}
