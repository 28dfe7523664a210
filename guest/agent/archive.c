// SPDX-License-Identifier: Apache-2.0
/* Archives of a container's files: see archive.h. No state. */
#include "guest/agent/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/capabilities.h"
#include "guest/agent/inroot.h"

int archive_limit_rights(struct husk_error *err)
{
    const uint64_t rights = 1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE |
                            1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_FOWNER | 1ull << CAP_FSETID;
    const struct oci_capabilities capabilities = {
        .given = true, .effective = rights, .permitted = rights};
    int ret = capabilities_limit(&capabilities, err);

    if (!ret)
        ret = capabilities_apply(&capabilities, err);
    if (!ret && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        ret = error_set(err, errno, "the archive", "cannot give up its rights", NULL);
    return ret;
}

static int open_place(const struct archive *archive, int root)
{
    if (!archive->put)
        return inroot_open(root, archive->path, O_PATH | (archive->follow ? 0 : O_NOFOLLOW));
    return archive->create ? inroot_directory(root, archive->path)
                           : inroot_open(root, archive->path, O_PATH | O_DIRECTORY);
}

int archive_open(const struct archive *archive, int *out, struct husk_error *err)
{
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return error_set(err, errno, "/", "cannot be opened", NULL);
    *out = open_place(archive, root);
    close(root);
    if (*out == -ENOTDIR)
        return error_set(err, EINVAL, archive->path, "is no directory", "%s", "");
    return *out < 0 ? error_set(err, -*out, archive->path, "cannot be opened", NULL) : 0;
}

int archive_run(const struct archive *archive, int place, int in, int out, int complaint)
{
    struct husk_error error = {.code = 0};
    char text[sizeof(error) + 8];
    size_t len;
    int ret =
        archive->put ? archive_put(place, in, &error) : archive_get(archive, place, out, &error);

    if (ret) {
        error_format(&error, text, sizeof(text) - 1);
        len = strlen(text);
        text[len] = '\n';
        (void)write_full(complaint, text, len + 1);
    }
    return ret;
}
