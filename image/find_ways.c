// SPDX-License-Identifier: Apache-2.0
/* The ways to find a kernel: see find.h. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "image/bls.h"
#include "image/find_internal.h"
#include "image/grub.h"
#include "image/version.h"

#define ENTRIES_READ_MAX 256u /* entry files that are read in one directory */

static bool ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);

    return len > suffix_len && !strcasecmp(name + len - suffix_len, suffix);
}

/* ---- unified kernel images ---- */

struct newest {
    const char *suffix;
    char name[IMAGE_NAME_MAX + 1];
};

static bool keep_newest(void *arg, const char *name)
{
    struct newest *newest = arg;

    if (ends_with(name, newest->suffix) &&
        (!newest->name[0] || version_compare(newest->name, name) < 0))
        snprintf(newest->name, sizeof(newest->name), "%s", name);
    return true;
}

int search_ukis(struct search *search)
{
    static const char *const directories[] = {"/EFI/Linux", "/boot/EFI/Linux"};

    for (unsigned i = 0; i < search->disk.count; i++) {
        bool seen = false;

        for (unsigned d = 0; search->fs[i] && d < ARRAY_SIZE(directories); d++) {
            struct newest newest = {.suffix = ".efi"};
            char path[IMAGE_PATH_MAX];

            image_list(search->fs[i], directories[d], keep_newest, &newest);
            if (!newest.name[0])
                continue;
            seen = true;
            snprintf(path, sizeof(path), "%s/%s", directories[d], newest.name);
            if (search_take_uki(search, i, path) == 0)
                return 0;
        }
        if (search->fs[i] && !seen)
            search_note(search, i, "no /EFI/Linux/*.efi");
    }
    return -ENOENT;
}

/* ---- boot loader entries ---- */

static void read_environment(struct image_filesystem *fs, struct environment *env)
{
    static const char *const paths[] = {"/grub2/grubenv", "/boot/grub2/grubenv", "/grub/grubenv",
                                        "/boot/grub/grubenv"};
    char *text;

    for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
        if (image_file_text(fs, paths[i], &text) == 0) {
            environment_read(env, text);
            free(text);
            return;
        }
    }
}

/* The entries of one directory, the best of which is kept. */
struct entries {
    struct image_filesystem *fs;
    const char *directory;
    struct environment env;
    char wanted[IMAGE_NAME_MAX + 1]; /* pattern of the default's id; "": none */
    unsigned read;
    bool has_best, best_is_wanted;
    struct bls_entry best, candidate;
    char names[ENTRIES_READ_MAX][IMAGE_NAME_MAX + 1];
};

static bool note_entry(void *arg, const char *name)
{
    struct entries *entries = arg;

    if (ends_with(name, ".conf"))
        snprintf(entries->names[entries->read++], sizeof(entries->names[0]), "%s", name);
    return entries->read < ENTRIES_READ_MAX;
}

/* loader.conf(5): the id may be a pattern, and have ".conf" at its end. */
static bool is_wanted(const struct entries *entries, const char *id)
{
    char with_suffix[IMAGE_NAME_MAX + 8];

    snprintf(with_suffix, sizeof(with_suffix), "%s.conf", id);
    return entries->wanted[0] && (fnmatch(entries->wanted, id, FNM_CASEFOLD) == 0 ||
                                  fnmatch(entries->wanted, with_suffix, FNM_CASEFOLD) == 0);
}

static void consider_entry(struct entries *entries, const char *name)
{
    char path[IMAGE_PATH_MAX];
    char *text;
    bool wanted;

    snprintf(path, sizeof(path), "%s/%s", entries->directory, name);
    if (image_file_text(entries->fs, path, &text))
        return;
    bls_parse(name, text, &entries->env, &entries->candidate);
    free(text);
    wanted = is_wanted(entries, entries->candidate.id);
    if (!entries->candidate.usable || (entries->best_is_wanted && !wanted))
        return;
    if (!entries->has_best || (wanted && !entries->best_is_wanted) ||
        bls_compare(&entries->candidate, &entries->best) < 0) {
        entries->best = entries->candidate;
        entries->has_best = true;
        entries->best_is_wanted = wanted;
    }
}

/* The default: what GRUB saved, or what loader.conf says. */
static void read_wanted(struct entries *entries, const char *loader_conf)
{
    static const char saved[] = "saved_entry";
    char *text;

    snprintf(entries->wanted, sizeof(entries->wanted), "%s",
             environment_get(&entries->env, saved, strlen(saved)));
    if (!entries->wanted[0] && image_file_text(entries->fs, loader_conf, &text) == 0) {
        if (!bls_loader_default(text, entries->wanted, sizeof(entries->wanted)))
            entries->wanted[0] = '\0';
        free(text);
    }
}

/* Returns whether there are entries; *ret is what became of the best. */
static bool search_directory(struct search *search, unsigned at, const char *directory,
                             const char *loader_conf, struct entries *entries, int *ret)
{
    char how[IMAGE_PATH_MAX];

    memset(entries, 0, sizeof(*entries));
    entries->fs = search->fs[at];
    entries->directory = directory;
    image_list(entries->fs, directory, note_entry, entries);
    if (!entries->read)
        return false;
    read_environment(entries->fs, &entries->env);
    read_wanted(entries, loader_conf);
    for (unsigned i = 0; i < entries->read; i++)
        consider_entry(entries, entries->names[i]);
    if (!entries->has_best) {
        search_note(search, at, "no usable entry in %s", directory);
        *ret = -ENOENT;
        return true;
    }
    snprintf(how, sizeof(how), "%s/%s.conf", directory, entries->best.id);
    *ret = search_take(search, at, how, &entries->best.choice);
    return true;
}

int search_entries(struct search *search)
{
    static const char *const directories[][2] = {
        {"/loader/entries", "/loader/loader.conf"},
        {"/boot/loader/entries", "/boot/loader/loader.conf"},
    };
    struct entries *entries = malloc(sizeof(*entries));

    if (!entries)
        return -ENOMEM;
    for (unsigned i = 0; i < search->disk.count; i++) {
        bool seen = false;

        for (unsigned d = 0; search->fs[i] && d < ARRAY_SIZE(directories); d++) {
            int ret = -ENOENT;

            seen |=
                search_directory(search, i, directories[d][0], directories[d][1], entries, &ret);
            if (!ret) {
                free(entries);
                return 0;
            }
        }
        if (search->fs[i] && !seen)
            search_note(search, i, "no /loader/entries/*.conf");
    }
    free(entries);
    return -ENOENT;
}

/* ---- GRUB ---- */

static int take_grub(struct search *search, unsigned at, const char *path, const char *text)
{
    struct environment *env = calloc(1, sizeof(*env));
    struct image_choice *choice = calloc(1, sizeof(*choice));
    int ret = env && choice ? 0 : -ENOMEM;

    if (!ret) {
        read_environment(search->fs[at], env);
        if (grub_parse(text, env, choice)) {
            ret = search_take(search, at, path, choice);
        } else {
            search_note(search, at, "%s: has no entry with a kernel", path);
            ret = -ENOENT;
        }
    }
    free(choice);
    free(env);
    return ret;
}

int search_grub(struct search *search)
{
    static const char *const paths[] = {"/grub/grub.cfg", "/grub2/grub.cfg", "/boot/grub/grub.cfg",
                                        "/boot/grub2/grub.cfg"};

    for (unsigned i = 0; i < search->disk.count; i++) {
        bool seen = false;

        for (unsigned p = 0; search->fs[i] && p < ARRAY_SIZE(paths); p++) {
            char *text;
            int ret = image_file_text(search->fs[i], paths[p], &text);

            if (ret)
                continue;
            seen = true;
            ret = take_grub(search, i, paths[p], text);
            free(text);
            if (!ret)
                return 0;
        }
        if (search->fs[i] && !seen)
            search_note(search, i, "no grub.cfg in /grub, /grub2 or below /boot");
    }
    return -ENOENT;
}

/* ---- files ---- */

struct kernel_file {
    unsigned at;
    const char *directory;
    char name[IMAGE_NAME_MAX + 1]; /* "": none yet */
};

struct kernels {
    unsigned at;
    const char *directory;
    struct kernel_file *best;
};

/* What follows "vmlinuz" is the version; those that a package manager set aside do not count. */
static bool is_kernel_name(const char *name)
{
    return !strncmp(name, "vmlinuz", 7) && (name[7] == '\0' || name[7] == '-') &&
           !ends_with(name, ".old") && !ends_with(name, ".bak") && !strstr(name, ".dpkg-");
}

static bool keep_kernel(void *arg, const char *name)
{
    struct kernels *kernels = arg;
    struct kernel_file *best = kernels->best;

    if (is_kernel_name(name) && (!best->name[0] || version_compare(best->name, name) < 0)) {
        best->at = kernels->at;
        best->directory = kernels->directory;
        snprintf(best->name, sizeof(best->name), "%s", name);
    }
    return true;
}

/* The initrd of the same version, by the names that distributions use. */
static void find_initrd(struct image_filesystem *fs, const struct kernel_file *kernel,
                        struct image_choice *choice)
{
    static const char *const forms[][2] = {{"initrd.img", ""},
                                           {"initramfs", ".img"},
                                           {"initrd", ""},
                                           {"initrd", ".img"},
                                           {"initramfs", ""}};
    const char *version = kernel->name + strlen("vmlinuz");

    for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
        uint64_t size;

        snprintf(choice->initrds[0], sizeof(choice->initrds[0]), "%s/%s%s%s", kernel->directory,
                 forms[i][0], version, forms[i][1]);
        if (image_file_size(fs, choice->initrds[0], &size) == 0) {
            choice->initrd_count = 1;
            return;
        }
    }
}

int search_files(struct search *search)
{
    static const char *const directories[] = {"/boot", ""};
    struct kernel_file best = {0};
    struct image_choice *choice;
    int ret;

    for (unsigned i = 0; i < search->disk.count; i++) {
        struct kernel_file here = {0};
        struct kernels kernels = {.at = i, .best = &here};

        for (unsigned d = 0; search->fs[i] && d < ARRAY_SIZE(directories); d++) {
            kernels.directory = directories[d];
            image_list(search->fs[i], *directories[d] ? directories[d] : "/", keep_kernel,
                       &kernels);
        }
        if (search->fs[i] && !here.name[0])
            search_note(search, i, "no /boot/vmlinuz* and no /vmlinuz*");
        else if (here.name[0] && (!best.name[0] || version_compare(best.name, here.name) < 0))
            best = here;
    }
    if (!best.name[0])
        return -ENOENT;
    choice = calloc(1, sizeof(*choice));
    if (!choice)
        return -ENOMEM;
    snprintf(choice->linux_path, sizeof(choice->linux_path), "%s/%s", best.directory, best.name);
    find_initrd(search->fs[best.at], &best, choice);
    ret = search_take(search, best.at, "", choice);
    free(choice);
    return ret;
}
