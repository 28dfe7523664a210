// SPDX-License-Identifier: Apache-2.0
/* Configurations of CNI networks: see cni_conf.h. */
#include "pod/network/cni_conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/image/json.h"

#define FILES_MAX      256
#define FILE_BYTES_MAX (1u << 20)

static const char wrong[] = "cannot use the CNI network";

/* ---- one file ---- */

static bool is_name(const char *text)
{
    static const char alphanumeric[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    return text && text[0] && strchr(alphanumeric, text[0]) && strlen(text) < 64 &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
               strlen(text);
}

/* Its place among the versions that husk knows, from 1; 0: it does not. */
static unsigned version_place(const char *text)
{
    static const char *const known[] = {"0.3.1", "0.4.0", "1.0.0", "1.1.0"};

    for (unsigned i = 0; text && i < sizeof(known) / sizeof(known[0]); i++) {
        if (!strcmp(text, known[i]))
            return i + 1;
    }
    return 0;
}

/* Section 1, "cniVersions": the highest that both know is what all plugins are told. */
static int choose_version(json_t *list)
{
    json_t *chosen = json_object_get(list, "cniVersion"), *version;
    size_t i;

    json_array_foreach(json_object_get(list, "cniVersions"), i, version)
    {
        if (version_place(json_string_value(version)) > version_place(json_string_value(chosen)))
            chosen = version;
    }
    return chosen ? json_object_set(list, "cniVersion", chosen) : 0;
}

int cni_conf_check(const json_t *list, const char *where, struct husk_error *err)
{
    const json_t *plugins;
    int ret = image_json_member(list, "plugins", JSON_ARRAY, true, &plugins, where, err);

    if (ret)
        return ret;
    if (!version_place(json_string_value(json_object_get(list, "cniVersion"))))
        return error_set(err, EPROTONOSUPPORT, where, wrong,
                         "cniVersion is none of 0.3.1, 0.4.0, 1.0.0, 1.1.0");
    if (!is_name(json_string_value(json_object_get(list, "name"))))
        return error_set(err, EINVAL, where, wrong, "name is missing, or none");
    if (json_array_size(plugins) < 1 || json_array_size(plugins) > CNI_PLUGINS_MAX)
        return error_set(err, EINVAL, where, wrong, "there must be 1 to %u plugins",
                         CNI_PLUGINS_MAX);
    for (size_t i = 0; i < json_array_size(plugins); i++) {
        const json_t *plugin = json_array_get(plugins, i);

        if (!is_name(json_string_value(json_object_get(plugin, "type"))))
            return error_set(err, EINVAL, where, wrong, "plugins[%zu].type is missing, or no name",
                             i);
    }
    return 0;
}

/* A plugin's own configuration, in a list. */
static json_t *list_of(json_t *plugin)
{
    return json_pack("{sO* sO* sO* s[O]}", "cniVersion", json_object_get(plugin, "cniVersion"),
                     "cniVersions", json_object_get(plugin, "cniVersions"), "name",
                     json_object_get(plugin, "name"), "plugins", plugin);
}

json_t *cni_conf_parse(const void *bytes, size_t len, bool single, const char *where,
                       struct husk_error *err)
{
    json_t *document = image_json_parse(bytes, len, where, err), *list;

    if (!document || !single) {
        list = document;
    } else {
        list = list_of(document);
        json_decref(document);
        if (!list)
            error_set(err, ENOMEM, where, wrong, NULL);
    }
    if (list && choose_version(list))
        error_set(err, ENOMEM, where, wrong, NULL);
    else if (list && !cni_conf_check(list, where, err))
        return list;
    json_decref(list);
    return NULL;
}

/* ---- the directory ---- */

static bool has_end(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);

    return len > end_len && !strcmp(name + len - end_len, end);
}

static int is_configuration(const struct dirent *entry)
{
    return cni_conf_is_file(entry->d_name);
}

static int by_name(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

static json_t *read_file(const char *directory, const char *name, struct husk_error *err)
{
    char path[512], *bytes;
    json_t *list;
    size_t len;
    int ret;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    ret = read_file_at(AT_FDCWD, path, FILE_BYTES_MAX, &bytes, &len);
    if (ret) {
        error_set(err, -ret, path, wrong, NULL);
        return NULL;
    }
    list = cni_conf_parse(bytes, len, !has_end(name, ".conflist"), path, err);
    free(bytes);
    return list;
}

/* A file that is broken is passed over, as long as another one has what is looked for; else it is
 * what there is to be said. */
int cni_conf_find(const char *name, json_t **out, struct husk_error *err)
{
    const char *directory = secure_getenv("NETCONFPATH");
    struct husk_error reason = {.code = 0};
    struct dirent **entries = NULL;
    int count;

    *out = NULL;
    directory = directory ? directory : CNI_CONF_DIRECTORY;
    count = scandir(directory, &entries, is_configuration, by_name);
    for (int i = 0; i < count; i++) {
        json_t *list =
            *out || i >= FILES_MAX ? NULL : read_file(directory, entries[i]->d_name, &reason);

        if (list && (!name || !strcmp(json_string_value(json_object_get(list, "name")), name)))
            *out = list;
        else
            json_decref(list);
        free(entries[i]);
    }
    free(entries);
    if (*out)
        return 0;
    if (reason.code && err)
        *err = reason;
    if (reason.code)
        return -reason.code;
    return error_set(err, ENOENT, directory, wrong, "there is no configuration %s%s",
                     name ? "called " : "", name ? name : "of a network");
}

bool cni_conf_capable(const json_t *list, const char *capability)
{
    const json_t *plugins = json_object_get(list, "plugins");

    for (size_t i = 0; i < json_array_size(plugins); i++) {
        const json_t *wants = json_object_get(json_array_get(plugins, i), "capabilities");

        if (json_is_true(json_object_get(wants, capability)))
            return true;
    }
    return false;
}
