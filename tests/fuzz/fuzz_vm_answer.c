// SPDX-License-Identifier: Apache-2.0
/* An answer of a VM's API socket to `husk vm`, in pieces as they come, then what it prints of it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/vm_body.h"
#include "cli/vm_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct vm_answer *answer)
{
    json_t *value = json_loadb(answer->body, answer->body_len, JSON_REJECT_DUPLICATES, NULL);
    FILE *out = fopen("/dev/null", "w");
    char id[VM_ID_SIZE];

    if (out) {
        vm_info_print(out, value, value);
        fclose(out);
    }
    vm_free_id(json_object_get(value, "drives"), "drive_id", "drive", id);
    if (!vm_id_is_valid(id))
        abort();
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct vm_answer answer = {0};
    int ret = 0;

    for (size_t len = 0; len < size && ret == 0; len += 1 + size / 16)
        ret = vm_answer_parse(bytes, len, false, &answer);
    if (ret == 0)
        ret = vm_answer_parse(bytes, size, true, &answer);
    if (ret == 0)
        abort(); /* the end of the stream, and still waiting */
    if (ret < 0)
        return 0;
    if (answer.status < 100 || answer.status > 599 || answer.body < bytes ||
        answer.body_len > size || answer.body + answer.body_len > bytes + size)
        abort();
    show(&answer);
    return 0;
}
