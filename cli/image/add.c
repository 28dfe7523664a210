// SPDX-License-Identifier: Apache-2.0
/* husk image pull and load. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/image/actions.h"
#include "cli/image/progress.h"
#include "cli/image/show.h"
#include "cli/image/users.h"
#include "pod/image/load.h"
#include "pod/image/registry.h"

/* What is shown of images that were added; on the heap, for records are big. */
struct adding {
    const struct image_options *options;
    struct progress progress;
    struct image_record record;
    json_t *all; /* of load: every image */
};

static void set_import(struct adding *adding, struct import_options *out)
{
    out->platform = adding->options->platform;
    out->threads = adding->options->threads;
    if (!adding->options->quiet) {
        out->progress = progress_show;
        out->progress_arg = &adding->progress;
    }
}

/* The password is the first line; it is not kept longer than needed. */
static int read_credentials(const char *user, struct credentials *out, struct husk_error *err)
{
    char line[AUTH_BASIC_BYTES / 2];
    int ret = 0;

    if (!fgets(line, sizeof(line), stdin) || !strchr(line, '\n'))
        ret = error_set(err, EINVAL, "standard input", "has no password",
                        "--user wants one line of it");
    if (ret == 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (credentials_make(user, line, out))
            ret = error_set(err, EINVAL, "--user", "is no user name with a usable password",
                            "no ':' in the name, no control characters, not too long");
    }
    explicit_bzero(line, sizeof(line));
    return ret;
}

static int pull(struct adding *adding, struct image_store *store, const struct reference *reference,
                struct husk_error *err)
{
    const struct image_options *options = adding->options;
    struct registry_options registry = {.plain_http = options->plain_http,
                                        .ca_file = options->ca_file};
    struct import_options import = {0};
    char name[REFERENCE_TEXT_BYTES];
    struct image_source *source;
    int ret = options->user ? read_credentials(options->user, &registry.credentials, err)
                            : credentials_find(options->auth_file, reference->registry,
                                               reference->repository, &registry.credentials, err);

    if (ret == 0 && http_init())
        ret = error_set(err, ENOMEM, "libcurl", "cannot be used", NULL);
    if (ret)
        return ret;
    source = registry_source(store, reference, &registry);
    explicit_bzero(&registry.credentials, sizeof(registry.credentials));
    if (!source)
        return error_set(err, ENOMEM, reference_format(reference, name), "cannot be pulled", NULL);
    set_import(adding, &import);
    ret = image_import(store, source, reference_format(reference, name), &import, &adding->record,
                       err);
    source->ops->destroy(source);
    progress_end(&adding->progress);
    return ret;
}

static void show(const struct adding *adding)
{
    printf("%s %s\n", adding->record.name, adding->record.source.text);
}

static int print(json_t *document, struct husk_error *err)
{
    int ret = document ? json_dumpf(document, stdout, JSON_INDENT(2)) : -1;

    printf("\n");
    return ret ? error_set(err, EIO, "standard output", "cannot be written", NULL) : 0;
}

static struct adding *begin(const struct image_options *options, struct husk_error *err)
{
    struct adding *adding = calloc(1, sizeof(*adding));

    if (!adding) {
        error_set(err, ENOMEM, "husk image", "cannot begin", NULL);
        return NULL;
    }
    adding->options = options;
    progress_init(&adding->progress, stderr);
    return adding;
}

/* A failure is followed by the removal of what no image needs. */
static int open_store(const char *path, struct image_store **out, struct husk_error *err)
{
    int ret = image_store_open(path, true, out, err);

    if (ret == 0)
        image_store_set_users(*out, image_users_layers, (char *)path);
    return ret;
}

int action_pull(const struct image_options *options, const char *path, struct husk_error *err)
{
    struct adding *adding = begin(options, err);
    struct image_store *store = NULL;
    struct reference reference;
    int ret = adding ? reference_parse(options->words[0], &reference, err) : -ENOMEM;

    if (ret == 0)
        ret = open_store(path, &store, err);
    if (ret == 0)
        ret = pull(adding, store, &reference, err);
    if (ret == 0 && options->json) {
        json_t *document = show_json(&adding->record);

        ret = print(document, err);
        json_decref(document);
    } else if (ret == 0) {
        show(adding);
    }
    image_store_close(store);
    free(adding);
    return ret;
}

static void loaded(void *arg, const struct image_record *record)
{
    struct adding *adding = arg;

    progress_end(&adding->progress);
    adding->record = *record;
    if (adding->all)
        json_array_append_new(adding->all, show_json(record));
    else
        show(adding);
}

int action_load(const struct image_options *options, const char *path, struct husk_error *err)
{
    struct adding *adding = begin(options, err);
    struct load_options load = {
        .name = options->name, .only = options->only, .loaded = loaded, .loaded_arg = adding};
    struct image_store *store = NULL;
    int ret = adding ? open_store(path, &store, err) : -ENOMEM;

    if (ret == 0) {
        adding->all = options->json ? json_array() : NULL;
        set_import(adding, &load.import);
        ret = image_load(store, options->words[0], &load, err);
        progress_end(&adding->progress);
    }
    if (ret == 0 && adding->all) {
        json_t *document = json_pack("{s:O}", "images", adding->all);

        ret = print(document, err);
        json_decref(document);
    }
    if (adding)
        json_decref(adding->all);
    image_store_close(store);
    free(adding);
    return ret;
}
