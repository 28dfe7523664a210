// SPDX-License-Identifier: Apache-2.0
/* Configuration files. No VM is started, and files that want to open a log or metrics are left
 * out. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/api/start.h"
#include "vmm/api/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An escape could hide what is looked for. */
static bool is_left_out(const uint8_t *data, size_t size)
{
    return memmem(data, size, "log_path", 8) || memmem(data, size, "metrics_path", 12) ||
           memchr(data, '\\', size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api_options options = {.console_in_fd = -1, .console_out_fd = -1};
    struct husk_vm_options vm;
    struct husk_drive_options drive;
    struct husk_net_options net;
    struct api_fault fault = {0};
    struct api *api;
    json_t *sections;
    char *line;

    if (is_left_out(data, size) || api_create(&options, &api, NULL))
        return 0;
    sections = json_parse((const char *)data, size, &fault);
    if (sections && config_apply(api, sections, &fault) == 0) {
        line = command_line_of(api);
        vm_options_of(api, line, &vm);
        for (unsigned i = 0; i < api->drive_count; i++)
            drive_options_of(&api->drives[i], &drive);
        for (unsigned i = 0; i < api->net_count; i++)
            net_options_of(&api->nets[i], &net);
        free(line);
    } else if (!fault.text[0]) {
        abort(); /* refused without a word */
    }
    json_decref(sections);
    api_destroy(api);
    return 0;
}
