// SPDX-License-Identifier: Apache-2.0
/*
 * An archive that a container sends, unpacked on the host: nothing appears but what has the wanted
 * name, in the wanted directory. Files are made as nobody, whom nothing else belongs to.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/pod/archive.h"

#define NOBODY    65534
#define BYTES_MAX 65536 /* of an input; sizes of sparse files are another matter */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

/* How many names are in a directory, and whether one of them is `name`. */
static unsigned names_in(const char *path, const char *name, int *found)
{
    DIR *list = opendir(path);
    const struct dirent *entry;
    unsigned count = 0;

    *found = 0;
    require(list != NULL);
    while ((entry = readdir(list))) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        *found |= !strcmp(entry->d_name, name);
    }
    closedir(list);
    return count;
}

static void unpack(int fd, const char *target)
{
    struct husk_error err = {.code = 0};
    bool directory;
    uid_t own = geteuid();
    int ret;

    require(seteuid(own ? own : NOBODY) == 0);
    (void)archive_first_is_directory(fd, &directory);
    lseek(fd, 0, SEEK_SET);
    ret = archive_unpack(fd, target, "name", &err);
    require(seteuid(own) == 0);
    require(!ret == !err.code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char top[] = "/tmp/fuzz-unpack-XXXXXX", target[64];
    int fd = memfd_create("archive", MFD_CLOEXEC), found;
    unsigned count;

    if (size > BYTES_MAX) {
        close(fd);
        return 0;
    }
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    require(mkdtemp(top) != NULL);
    snprintf(target, sizeof(target), "%s/target", top);
    require(mkdir(target, 0700) == 0);
    if (geteuid() == 0)
        require(chown(top, NOBODY, NOBODY) == 0 && chown(target, NOBODY, NOBODY) == 0);
    unpack(fd, target);
    count = names_in(target, "name", &found);
    require(count == (unsigned)found);
    require(names_in(top, "target", &found) == 1 && found);
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    close(fd);
    return 0;
}
