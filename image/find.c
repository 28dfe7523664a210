// SPDX-License-Identifier: Apache-2.0
/* See find.h. What each step saw is noted partition by partition, for the message when nothing was
 * found must say precisely what was looked at. */
#include "image/find.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "image/find_internal.h"
#include "image/output.h"

static const char no_kernel[] = "found no kernel on the disk";

void search_note(struct search *search, unsigned at, const char *format, ...)
{
    char *notes = search->notes[at];
    size_t used = strlen(notes);
    va_list args;

    if (used > 0 && used + 2 < SEARCH_NOTES_MAX) {
        memcpy(notes + used, ", ", 3);
        used += 2;
    }
    va_start(args, format);
    vsnprintf(notes + used, SEARCH_NOTES_MAX - used, format, args);
    va_end(args);
}

static void open_filesystems(struct search *search)
{
    for (unsigned i = 0; i < search->disk.count; i++) {
        struct image_partition *partition = &search->disk.partitions[i];
        int ret;

        if (!image_filesystem_known(partition->content))
            continue;
        ret = image_filesystem_open(&partition->bytes, partition->content, &search->fs[i]);
        if (ret == -EOPNOTSUPP)
            search_note(search, i, "has features that husk does not know");
        else if (ret)
            search_note(search, i, "cannot be read (%s)", error_text(-ret));
    }
}

/* ---- the root file system ---- */

/* Discoverable Partitions Specification (UAPI.2): root of x86-64. */
#define ROOT_X86_64 "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"

static bool looks_like_root(struct image_filesystem *fs)
{
    static const char *const signs[] = {"/etc/os-release", "/usr/lib/os-release", "/etc/fstab"};
    uint64_t size;

    for (unsigned i = 0; fs && i < ARRAY_SIZE(signs); i++) {
        if (image_file_size(fs, signs[i], &size) == 0)
            return true;
    }
    return false;
}

/* One that says so, one that looks so, or the largest that husk cannot look into. */
static const struct image_partition *find_root(const struct search *search)
{
    const struct image_partition *largest = NULL;

    for (unsigned i = 0; i < search->disk.count; i++) {
        if (!strcmp(search->disk.partitions[i].kind, ROOT_X86_64))
            return &search->disk.partitions[i];
    }
    for (unsigned i = 0; i < search->disk.count; i++) {
        if (looks_like_root(search->fs[i]))
            return &search->disk.partitions[i];
    }
    for (unsigned i = 0; i < search->disk.count; i++) {
        const struct image_partition *at = &search->disk.partitions[i];

        if (!strcmp(at->content, "xfs") || !strcmp(at->content, "btrfs")) {
            if (!largest || at->bytes.size > largest->bytes.size)
                largest = at;
        }
    }
    return largest;
}

/* A command line that names no root file system gets the one of this disk. */
static int add_root(const struct search *search, char *options, size_t size)
{
    const struct image_partition *root;
    char word[80];

    if (!strncmp(options, "root=", 5) || strstr(options, " root="))
        return 0;
    root = find_root(search);
    if (!root)
        return 0;
    if (root->id[0])
        snprintf(word, sizeof(word), "root=PARTUUID=%s ro", root->id);
    else if (root->content_id[0])
        snprintf(word, sizeof(word), "root=UUID=%s ro", root->content_id);
    else
        return 0;
    make_printable(word);
    return text_append_word(options, size, word) ? 0 : -E2BIG;
}

/* ---- copying out ---- */

/* "/boot" or "": where a path of a boot loader's file may be, for /boot may be a file system of its
 * own, or a directory of the root's. */
static bool locate(struct image_filesystem *fs, const char *path, char *out, size_t size)
{
    static const char *const prefixes[] = {"", "/boot"};

    for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++) {
        uint64_t bytes;
        const char *slash = *path == '/' ? "" : "/";

        if ((size_t)snprintf(out, size, "%s%s%s", prefixes[i], slash, path) < size &&
            image_file_size(fs, out, &bytes) == 0)
            return true;
    }
    return false;
}

static int fail(struct search *search, unsigned at, const char *path, int error)
{
    search_note(search, at, "%s: %s", path,
                error == -ENOENT  ? "is not there"
                : error == -EFBIG ? "is too large"
                                  : error_text(-error));
    return error;
}

static int copy_initrds(struct search *search, unsigned at, const struct image_choice *choice)
{
    struct image_output output;
    int ret = output_begin(&output, search->initrd_fd, IMAGE_INITRD_MAX);

    for (unsigned i = 0; !ret && i < choice->initrd_count; i++) {
        char path[IMAGE_PATH_MAX + 8];

        if (!locate(search->fs[at], choice->initrds[i], path, sizeof(path)))
            ret = -ENOENT;
        if (!ret)
            ret = image_file_read(search->fs[at], path, output.max - output.size, output_write,
                                  &output);
        if (!ret && i + 1 < choice->initrd_count)
            ret = output_pad(&output);
        if (ret)
            fail(search, at, choice->initrds[i], ret);
    }
    return ret;
}

static int copy_kernel(struct search *search, unsigned at, const char *path)
{
    struct image_output output;
    int ret = output_begin(&output, search->kernel_fd, IMAGE_KERNEL_MAX);

    if (!ret)
        ret = image_file_read(search->fs[at], path, output.max, output_write, &output);
    return ret ? fail(search, at, path, ret) : 0;
}

static void describe(const struct search *search, unsigned at, const char *how, const char *path)
{
    char label[SEARCH_LABEL_MAX];

    search_label(search, at, label);
    snprintf(search->answer->found, sizeof(search->answer->found), "%s: %.80s%s%.80s", label, how,
             *how ? ": " : "", path);
    make_printable(search->answer->found);
}

/* The next way finds both files empty. */
static int give_up(struct search *search, int error)
{
    struct image_output output;

    output_begin(&output, search->kernel_fd, 0);
    output_begin(&output, search->initrd_fd, 0);
    return error;
}

int search_take(struct search *search, unsigned at, const char *how,
                const struct image_choice *choice)
{
    char *options = search->answer->command_line;
    char path[IMAGE_PATH_MAX + 8];
    int ret = 0;

    if (!locate(search->fs[at], choice->linux_path, path, sizeof(path)))
        return fail(search, at, choice->linux_path, -ENOENT);
    ret = copy_kernel(search, at, path);
    if (!ret && choice->initrd_count)
        ret = copy_initrds(search, at, choice);
    if (!ret) {
        snprintf(options, sizeof(search->answer->command_line), "%s", choice->options);
        ret = add_root(search, options, sizeof(search->answer->command_line));
    }
    if (ret)
        return give_up(search, ret);
    describe(search, at, how, path);
    return 0;
}

static int copy_section(const struct image_source *section, int fd, uint64_t max)
{
    struct image_output output;
    int ret = output_begin(&output, fd, max);

    return ret ? ret : image_copy(section, output_write, &output);
}

/* From a copy of the whole file, which lies in one piece. */
static int take_sections(struct search *search, const struct image_output *whole)
{
    const struct image_source file = {.fd = whole->fd, .size = whole->size};
    char *options = search->answer->command_line;
    struct uki uki;
    int ret = uki_parse(&file, &uki);

    if (!ret)
        ret = copy_section(&uki.kernel, search->kernel_fd, IMAGE_KERNEL_MAX);
    if (!ret && uki.initrd.size)
        ret = copy_section(&uki.initrd, search->initrd_fd, IMAGE_INITRD_MAX);
    if (ret)
        return ret;
    snprintf(options, sizeof(search->answer->command_line), "%s", uki.options);
    return add_root(search, options, sizeof(search->answer->command_line));
}

int search_take_uki(struct search *search, unsigned at, const char *path)
{
    struct image_output whole = {.fd = -1};
    int fd = memfd_create("uki", MFD_CLOEXEC);
    int ret = fd < 0 ? -errno : output_begin(&whole, fd, IMAGE_KERNEL_MAX + IMAGE_INITRD_MAX);

    if (!ret)
        ret = image_file_read(search->fs[at], path, whole.max, output_write, &whole);
    if (!ret)
        ret = take_sections(search, &whole);
    close_fd(&fd);
    if (ret == -EINVAL || ret == -ENOENT)
        search_note(search, at, "%s: is no unified kernel image for x86-64", path);
    else if (ret)
        fail(search, at, path, ret);
    if (ret)
        return give_up(search, ret);
    describe(search, at, "", path);
    return 0;
}

/* ---- the message ---- */

void search_label(const struct search *search, unsigned at, char label[SEARCH_LABEL_MAX])
{
    const struct image_partition *partition = &search->disk.partitions[at];
    const char *content = partition->content[0] ? partition->content : "unknown content";

    if (partition->number)
        snprintf(label, SEARCH_LABEL_MAX, "partition %u (%s)", partition->number, content);
    else
        snprintf(label, SEARCH_LABEL_MAX, "the whole disk (%s)", content);
}

static void describe_disk(struct search *search)
{
    char *text = search->answer->looked_at;
    size_t size = sizeof(search->answer->looked_at);
    size_t used = 0;

    if (search->disk.count == 0)
        used += (size_t)snprintf(text, size, "its partition table (%s) has no partition",
                                 search->disk.table);
    for (unsigned i = 0; i < search->disk.count && used < size; i++) {
        const struct image_partition *partition = &search->disk.partitions[i];
        char label[SEARCH_LABEL_MAX];
        const char *notes = search->notes[i];

        search_label(search, i, label);
        if (search->fs[i] || notes[0])
            used +=
                (size_t)snprintf(text + used, size - used, "%s%s: %s", i ? "; " : "", label, notes);
        else if (partition->content[0])
            used += (size_t)snprintf(text + used, size - used, "%s%s, which husk cannot read",
                                     i ? "; " : "", label);
        else
            used += (size_t)snprintf(text + used, size - used, "%s%s", i ? "; " : "", label);
    }
    if (search->disk.more && used < size)
        snprintf(text + used, size - used, "; only the first %u partitions were looked at",
                 IMAGE_PARTITIONS_MAX);
    make_printable(text);
}

static int search_all(struct search *search)
{
    static int (*const ways[])(struct search * search) = {search_ukis, search_entries, search_grub,
                                                          search_files};
    int ret = give_up(search, -ENOENT); /* before the first way, too */

    for (unsigned way = 0; ret && way < ARRAY_SIZE(ways); way++)
        ret = ways[way](search);
    return ret;
}

int image_find_kernel(const struct image_source *disk, unsigned sector_bytes, int kernel_fd,
                      int initrd_fd, struct image_answer *answer)
{
    struct search *search = calloc(1, sizeof(*search));
    int ret = search ? 0 : -ENOMEM;

    memset(answer, 0, sizeof(*answer));
    snprintf(answer->what, sizeof(answer->what), "cannot read the disk");
    if (!ret) {
        search->answer = answer;
        search->kernel_fd = kernel_fd;
        search->initrd_fd = initrd_fd;
        ret = image_disk_read(disk, sector_bytes, &search->disk);
    }
    if (!ret) {
        open_filesystems(search);
        ret = search_all(search);
        if (ret)
            snprintf(answer->what, sizeof(answer->what), "%s", no_kernel);
        describe_disk(search);
        for (unsigned i = 0; i < search->disk.count; i++)
            image_filesystem_close(search->fs[i]);
    }
    answer->error = -ret;
    free(search);
    return ret;
}
