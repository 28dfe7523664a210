// SPDX-License-Identifier: Apache-2.0
/* The texts of boot loaders: grub.cfg, environment block, boot loader entries, loader.conf, version
 * order. All results end within their arrays; an order is one both ways round. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/bls.h"
#include "image/grub.h"
#include "image/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_choice(const struct image_choice *choice)
{
    if (!memchr(choice->linux_path, 0, sizeof(choice->linux_path)) ||
        !memchr(choice->options, 0, sizeof(choice->options)) ||
        choice->initrd_count > IMAGE_INITRDS_MAX)
        abort();
    for (unsigned i = 0; i < choice->initrd_count; i++) {
        if (!memchr(choice->initrds[i], 0, sizeof(choice->initrds[i])))
            abort();
    }
}

/* data: two texts with a zero byte between them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct environment env;
    static struct image_choice choice;
    static struct bls_entry one, other;
    char *first = strndup((const char *)data, size);
    size_t first_len = first ? strlen(first) : 0;
    char *second = first_len < size
                       ? strndup((const char *)data + first_len + 1, size - first_len - 1)
                       : strdup("");
    char pattern[64];
    int order;

    if (!first || !second)
        abort();
    memset(&env, 0, sizeof(env));
    memset(&choice, 0, sizeof(choice));
    environment_read(&env, second);
    bls_parse(first, second, &env, &one);
    bls_parse(second, first, &env, &other);
    check_choice(&one.choice);
    order = bls_compare(&one, &other);
    if ((order < 0) != (bls_compare(&other, &one) > 0))
        abort();
    order = version_compare(first, second);
    if ((order < 0) != (version_compare(second, first) > 0) || version_compare(first, first) != 0)
        abort();
    bls_loader_default(first, pattern, sizeof(pattern));
    if (grub_parse(first, &env, &choice)) {
        check_choice(&choice);
        if (!choice.linux_path[0])
            abort();
    }
    free(first);
    free(second);
    return 0;
}
