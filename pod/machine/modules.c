// SPDX-License-Identifier: Apache-2.0
/* Modules of a tree: see modules.h. */
#include "pod/machine/modules.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define SOFT_DEPTH_MAX 4u /* of modules that want others before them */

static const char cannot_collect[] = "cannot collect the kernel's modules";

/* ---- which ---- */

void module_name(const char *path, char name[MODULE_NAME_BYTES])
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *end = strstr(base, ".ko");
    size_t len = end ? (size_t)(end - base) : strlen(base);

    if (len >= MODULE_NAME_BYTES)
        len = MODULE_NAME_BYTES - 1;
    memcpy(name, base, len);
    name[len] = '\0';
    for (char *at = name; *at; at++)
        *at = (char)(*at == '-' ? '_' : *at);
}

/* What depmod(8) writes about a tree. */
struct index {
    FILE *dep, *builtin;
    FILE *softdep, *alias; /* or NULL */
};

static FILE *open_index(const char *tree, const char *file, struct husk_error *err)
{
    char path[PATH_MAX];
    FILE *index;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", tree, file) >= sizeof(path)) {
        error_set(err, ENAMETOOLONG, tree, cannot_collect, NULL);
        return NULL;
    }
    index = fopen(path, "re");
    if (!index)
        error_set(err, errno, path, cannot_collect, NULL);
    return index;
}

/* The line of `index` whose module is `name`, in *line without its newline; 1 or 0. */
static int find_line(FILE *index, const char *name, char **line, size_t *size)
{
    char wanted[MODULE_NAME_BYTES], found[MODULE_NAME_BYTES];

    module_name(name, wanted);
    rewind(index);
    while (getline(line, size, index) > 0) {
        size_t path = strcspn(*line, ":\n");
        char end = (*line)[path];

        (*line)[strcspn(*line, "\n")] = '\0';
        (*line)[path] = '\0';
        module_name(*line, found);
        if (!strcmp(found, wanted)) {
            if (end == ':')
                (*line)[path] = ':';
            return 1;
        }
    }
    return 0;
}

static int append(struct module_list *list, const char *path, struct husk_error *err)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (!strcmp(list->paths[i], path))
            return 0;
    }
    if (list->count == MODULES_MAX)
        return error_set(err, E2BIG, path, cannot_collect, "more than %u are needed", MODULES_MAX);
    list->paths[list->count] = strdup(path);
    if (!list->paths[list->count])
        return error_set(err, ENOMEM, path, cannot_collect, NULL);
    list->count++;
    return 0;
}

/* ---- what is to be there before, and is not needed ---- */

/* "alias PATTERN MODULE" (depmod(8)). */
static bool is_alias_line(char *line, const char *wanted, int (*match)(const char *, const char *),
                          char name[MODULE_NAME_BYTES])
{
    char *save = NULL, *word = strtok_r(line, " \n", &save);
    const char *pattern = word && !strcmp(word, "alias") ? strtok_r(NULL, " \n", &save) : NULL;
    const char *module = pattern ? strtok_r(NULL, " \n", &save) : NULL;

    if (!module || match(pattern, wanted) != 0)
        return false;
    module_name(module, name);
    return true;
}

/*
 * The line of modules.dep of what is called `name`, a module or an alias of some; of several the
 * one that is not for some processors only. 1 or 0.
 */
static int find_soft(const struct index *index, const char *name, char **line, size_t *size)
{
    char module[MODULE_NAME_BYTES], *alias = NULL;
    size_t alias_size = 0;
    int found = find_line(index->dep, name, line, size);

    if (found || !index->alias)
        return found;
    rewind(index->alias);
    while (getline(&alias, &alias_size, index->alias) > 0) {
        if (!is_alias_line(alias, name, strcmp, module))
            continue;
        found = find_line(index->dep, module, line, size);
        if (found && strncmp(*line, "kernel/arch/", strlen("kernel/arch/")) != 0)
            break;
    }
    free(alias);
    return found;
}

static int append_with(const struct index *index, char *line, unsigned depth,
                       struct module_list *out, struct husk_error *err);

/* "softdep MODULE pre: NAME … post: NAME …" (modprobe.d(5)): those before, as far as they exist. */
static int append_pre(const struct index *index, char *words, unsigned depth,
                      struct module_list *out, struct husk_error *err)
{
    char *save = NULL, *line = NULL;
    bool before = false;
    size_t size = 0;
    int ret = 0;

    for (char *word = strtok_r(words, " \n", &save); word && !ret;
         word = strtok_r(NULL, " \n", &save)) {
        if (word[strlen(word) - 1] == ':')
            before = !strcmp(word, "pre:");
        else if (before && find_soft(index, word, &line, &size))
            ret = append_with(index, line, depth + 1, out, err);
    }
    free(line);
    return ret;
}

static int append_soft(const struct index *index, const char *path, unsigned depth,
                       struct module_list *out, struct husk_error *err)
{
    char name[MODULE_NAME_BYTES], *line = NULL;
    size_t size = 0;
    long at = 0;
    int ret = 0;

    module_name(path, name);
    while (!ret && index->softdep && depth < SOFT_DEPTH_MAX &&
           fseek(index->softdep, at, SEEK_SET) == 0 && getline(&line, &size, index->softdep) > 0) {
        char *save = NULL, *word = strtok_r(line, " \n", &save), module[MODULE_NAME_BYTES];

        at = ftell(index->softdep); /* it is read within, too */
        if (!word || strcmp(word, "softdep") != 0 || !(word = strtok_r(NULL, " \n", &save)))
            continue;
        module_name(word, module);
        if (!strcmp(module, name) && save)
            ret = append_pre(index, save, depth, out, err);
    }
    free(line);
    return ret ? ret : append(out, path, err);
}

/* "PATH: NEEDED …", of which the last is to be loaded first (depmod(8)). */
static int append_with(const struct index *index, char *line, unsigned depth,
                       struct module_list *out, struct husk_error *err)
{
    char *needed = strchr(line, ':'), *last;
    int ret = 0;

    if (!needed)
        return append_soft(index, line, depth, out, err);
    *needed++ = '\0';
    while (!ret && (last = strrchr(needed, ' '))) {
        if (last[1])
            ret = append_soft(index, last + 1, depth, out, err);
        *last = '\0';
    }
    return ret ? ret : append_soft(index, line, depth, out, err);
}

static int read_list(const struct index *index, const char *tree, const char *const *names,
                     struct module_list *out, struct husk_error *err)
{
    char *line = NULL;
    size_t size = 0;
    int ret = 0;

    for (; !ret && *names; names++) {
        if (find_line(index->dep, *names, &line, &size))
            ret = append_with(index, line, 0, out, err);
        else if (!find_line(index->builtin, *names, &line, &size))
            ret = error_set(err, ENOENT, tree, cannot_collect, "it has no module %s", *names);
    }
    free(line);
    return ret;
}

int module_list_read(const char *tree, const char *const *names, struct module_list *out,
                     struct husk_error *err)
{
    struct index index = {NULL, NULL, NULL, NULL};
    const struct {
        const char *name;
        FILE **file;
    } files[] = {{"modules.dep", &index.dep},
                 {"modules.builtin", &index.builtin},
                 {"modules.softdep", &index.softdep},
                 {"modules.alias", &index.alias}};
    enum { NEEDED = 2, COUNT = sizeof(files) / sizeof(files[0]) };
    int ret = 0;

    out->count = 0;
    for (unsigned i = 0; i < COUNT && !ret; i++) {
        *files[i].file = open_index(tree, files[i].name, i < NEEDED ? err : NULL);
        ret = *files[i].file || i >= NEEDED ? 0 : -errno;
    }
    if (!ret)
        ret = read_list(&index, tree, names, out, err);
    for (unsigned i = 0; i < COUNT; i++) {
        if (*files[i].file)
            fclose(*files[i].file);
    }
    if (ret)
        module_list_clear(out);
    return ret;
}

void module_list_clear(struct module_list *list)
{
    while (list->count)
        free(list->paths[--list->count]);
}

/* ---- for a device ---- */

static int match_pattern(const char *pattern, const char *modalias)
{
    return fnmatch(pattern, modalias, 0);
}

/* "MODULE.alias=PATTERN" (Documentation/kbuild/kbuild.rst, modules.builtin.modinfo). */
static bool is_builtin_entry(const char *entry, const char *modalias)
{
    const char *pattern = strstr(entry, ".alias=");

    return pattern && fnmatch(pattern + strlen(".alias="), modalias, 0) == 0;
}

int module_for_device(const char *tree, const char *modalias, char name[MODULE_NAME_BYTES],
                      struct husk_error *err)
{
    FILE *aliases = open_index(tree, "modules.alias", err), *builtin;
    bool found = false;
    char *line = NULL;
    size_t size = 0;

    if (!aliases)
        return -errno;
    while (!found && getline(&line, &size, aliases) > 0)
        found = is_alias_line(line, modalias, match_pattern, name);
    fclose(aliases);
    builtin = found ? NULL : open_index(tree, "modules.builtin.modinfo", NULL);
    while (builtin && !found && getdelim(&line, &size, '\0', builtin) > 0) {
        found = is_builtin_entry(line, modalias);
        name[0] = '\0';
    }
    if (builtin)
        fclose(builtin);
    free(line);
    return found ? 0
                 : error_set(err, ENOENT, tree, cannot_collect, "it has no driver of %s", modalias);
}
