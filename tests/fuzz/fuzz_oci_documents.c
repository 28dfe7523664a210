// SPDX-License-Identifier: Apache-2.0
/*
 * What a registry or an archive says in words: indexes, manifests, configurations, names,
 * challenges. The first byte chooses. What is accepted must be within the limits, and a reference
 * must mean the same when its canonical form is read again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pod/image/auth.h"
#include "pod/image/config.h"
#include "pod/image/manifest.h"
#include "pod/image/reference.h"

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_descriptor(const struct descriptor *descriptor)
{
    struct digest again;

    demand(digest_parse(descriptor->digest.text, &again) == 0);
    demand(descriptor->size <= IMAGE_BLOB_BYTES_MAX);
}

static void fuzz_manifest(const uint8_t *data, size_t size)
{
    struct manifest *manifest = malloc(sizeof(*manifest));
    struct platform platform;
    uint64_t total = 0;

    demand(manifest != NULL);
    if (manifest_parse(data, size, NULL, "fuzz", manifest, NULL) == 0) {
        platform_of_host(&platform);
        demand(manifest->entry_count <= IMAGE_INDEX_MAX);
        demand(manifest->layer_count <= IMAGE_LAYERS_MAX);
        for (unsigned i = 0; i < manifest->entry_count; i++)
            check_descriptor(&manifest->entries[i].descriptor);
        for (unsigned i = 0; i < manifest->layer_count; i++) {
            check_descriptor(&manifest->layers[i]);
            total += manifest->layers[i].size;
        }
        demand(total <= IMAGE_TOTAL_BYTES_MAX);
        manifest_select(manifest, &platform);
        manifest_clear(manifest);
    }
    free(manifest);
}

static void fuzz_config(const uint8_t *data, size_t size)
{
    struct image_config *config = malloc(sizeof(*config));

    demand(config != NULL);
    if (image_config_parse(data, size, "fuzz", config, NULL) == 0) {
        demand(config->diff_id_count <= IMAGE_LAYERS_MAX);
        demand(config->command.count <= IMAGE_WORDS_MAX);
        image_config_clear(config);
    }
    free(config);
}

static void fuzz_reference(const char *text)
{
    struct reference reference, again;
    char canonical[REFERENCE_TEXT_BYTES], twice[REFERENCE_TEXT_BYTES];

    if (reference_parse(text, &reference, NULL))
        return;
    reference_format(&reference, canonical);
    demand(!strstr(reference.repository, "..") && !strchr(canonical, '\n'));
    demand(reference_parse(canonical, &again, NULL) == 0);
    demand(!strcmp(reference_format(&again, twice), canonical));
    server_is_loopback(reference_server(&reference));
}

static void fuzz_auth(const char *text, size_t len)
{
    struct challenge challenge;
    struct credentials credentials;

    if (challenge_parse(text, &challenge) == 0)
        demand(!challenge.bearer || challenge.realm[0]);
    if (credentials_parse(text, len, "fuzz", "registry.example.org", "team/x", &credentials,
                          NULL) == 0)
        demand(!strpbrk(credentials.basic, "\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size < 1)
        return -1;
    text = malloc(size);
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 4) {
    case 0:
        fuzz_manifest(data + 1, size - 1);
        break;
    case 1:
        fuzz_config(data + 1, size - 1);
        break;
    case 2:
        fuzz_reference(text);
        break;
    default:
        fuzz_auth(text, size - 1);
        break;
    }
    free(text);
    return 0;
}
