// SPDX-License-Identifier: Apache-2.0
/* Rendering a start's time line: see timeline.h. Pure output; no state. */
#include "cli/timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"

static const struct {
    const char *moment;
    const char *phase;
    const char *colour;
} phases[] = {
    {"exec", "process start", "#888888"},
    {"parsed", "options", "#7f7f7f"},
    {"kvm", "KVM", "#1f77b4"},
    {"memory", "guest memory", "#17a2a8"},
    {"devices", "devices", "#9467bd"},
    {"iommu", "devices to the IOMMU", "#e377c2"},
    {"pinned", "guest memory pinned", "#c49c94"},
    {"vfio", "devices of the host", "#aec7e8"},
    {"loaded", "kernel load", "#2ca02c"},
    {"vcpus", "vCPUs", "#bcbd22"},
    {"first-entry", "first entry", "#d62728"},
    {"kernel", "first exit to husk", "#ff7f0e"},
    {"init", "guest boot to init", "#e0a030"},
    {"stopped", "guest run to stop", "#8c564b"},
};

const char *timeline_phase(const char *moment_name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(phases); i++) {
        if (!strcmp(phases[i].moment, moment_name))
            return phases[i].phase;
    }
    return moment_name;
}

static const char *phase_colour(const char *moment_name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(phases); i++) {
        if (!strcmp(phases[i].moment, moment_name))
            return phases[i].colour;
    }
    return phases[0].colour;
}

static double ms_between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0.0;
}

/* The phase that ends with moment i, and how much it was. */
static void phase_text(const struct timeline_moments *moments, unsigned i, char *text, size_t size)
{
    const char *name = moments->at[i].name;

    if (!strcmp(name, "pinned"))
        snprintf(text, size, "%s, %llu MiB", timeline_phase(name),
                 (unsigned long long)(moments->pinned_bytes >> 20));
    else
        snprintf(text, size, "%s", timeline_phase(name));
}

void timeline_print(FILE *out, const struct timeline_moments *moments)
{
    const struct husk_moment *at = moments->at;
    char text[64];

    if (moments->count == 0)
        return;
    fprintf(out, "%12s %12s  %s\n", "at ms", "took ms", "phase");
    for (unsigned i = 1; i < moments->count; i++) {
        phase_text(moments, i, text, sizeof(text));
        fprintf(out, "%12.3f %12.3f  %s\n", ms_between(at[0].at_ns, at[i].at_ns),
                ms_between(at[i - 1].at_ns, at[i].at_ns), text);
    }
}

int timeline_svg(FILE *out, const struct timeline_moments *moments)
{
    enum { ROW = 26, LABEL = 230, CHART = 580, FIGURES = 190, TOP = 58 };
    const struct husk_moment *at = moments->at;
    unsigned count = moments->count;
    unsigned rows = count > 1 ? count - 1 : 0;
    double total = count > 1 ? ms_between(at[0].at_ns, at[count - 1].at_ns) : 0;
    char text[64];

    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
            "font-family=\"sans-serif\" font-size=\"13\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n"
            "<text x=\"16\" y=\"28\" font-size=\"17\">husk: %.3f ms from exec to %s</text>\n",
            LABEL + CHART + FIGURES, TOP + rows * ROW + 16, total,
            count ? at[count - 1].name : "nothing");
    for (unsigned i = 1; i < count; i++) {
        double begin = ms_between(at[0].at_ns, at[i - 1].at_ns);
        double took = ms_between(at[i - 1].at_ns, at[i].at_ns);
        double x = total > 0 ? LABEL + begin / total * CHART : LABEL;
        double width = total > 0 ? took / total * CHART : 0;
        unsigned y = TOP + (i - 1) * ROW;

        phase_text(moments, i, text, sizeof(text));
        /* A phase too short to see still gets a hair line. */
        fprintf(out,
                "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">%s</text>\n"
                "<line x1=\"%d\" y1=\"%u\" x2=\"%d\" y2=\"%u\" stroke=\"#eeeeee\"/>\n"
                "<rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"16\" fill=\"%s\"/>\n"
                "<text x=\"%d\" y=\"%u\" fill=\"#444444\">%.3f ms (at %.3f)</text>\n",
                LABEL - 10, y + 13, text, LABEL, y + 21, LABEL + CHART, y + 21, x, y,
                width < 1 ? 1 : width, phase_colour(at[i].name), LABEL + CHART + 10, y + 13, took,
                begin + took);
    }
    fprintf(out, "</svg>\n");
    return fflush(out) || ferror(out) ? -EIO : 0;
}

static const char cannot_write[] = "cannot write the picture of --timeline";

/* The picture is renamed into place, which would put it in the place of a device (/dev/null) or of
 * a link; and what rename() refuses is to be known before the guest has run. */
static int check_target(const char *path, struct husk_error *err)
{
    size_t len = strlen(path);
    struct stat st;

    if (len && path[len - 1] == '/')
        return error_set(err, EISDIR, path, cannot_write, "it names a directory, not a file");
    if (lstat(path, &st) || S_ISREG(st.st_mode))
        return 0;
    if (S_ISDIR(st.st_mode))
        return error_set(err, EISDIR, path, cannot_write, "it is a directory");
    return error_set(err, EINVAL, path, cannot_write,
                     "it exists and is no regular file, and would be replaced by one");
}

int timeline_file_open(struct timeline_file *file, const char *path, struct husk_error *err)
{
    static const char suffix[] = ".XXXXXX";
    size_t len = strlen(path);
    int fd, ret;

    memset(file, 0, sizeof(*file));
    ret = check_target(path, err);
    if (ret)
        return ret;
    if (len + sizeof(suffix) > sizeof(file->temporary))
        return error_set(err, ENAMETOOLONG, path, cannot_write, NULL);
    memcpy(file->temporary, path, len);
    memcpy(file->temporary + len, suffix, sizeof(suffix));
    fd = mkostemp(file->temporary, O_CLOEXEC);
    if (fd < 0) {
        int code = errno;

        return error_set(err, code, path, cannot_write, NULL);
    }
    fchmod(fd, 0644);
    file->path = path;
    file->stream = fdopen(fd, "w");
    if (!file->stream) {
        close(fd);
        unlink(file->temporary);
        return error_set(err, ENOMEM, path, cannot_write, NULL);
    }
    return 0;
}

void timeline_file_abandon(struct timeline_file *file)
{
    if (!file->stream)
        return;
    fclose(file->stream);
    file->stream = NULL;
    unlink(file->temporary);
}

int timeline_file_commit(struct timeline_file *file, const struct timeline_moments *moments,
                         struct husk_error *err)
{
    int code = 0;

    if (timeline_svg(file->stream, moments))
        code = EIO;
    if (fclose(file->stream) && !code)
        code = errno;
    file->stream = NULL;
    if (!code && rename(file->temporary, file->path))
        code = errno;
    if (!code)
        return 0;
    unlink(file->temporary);
    return error_set(err, code, file->path, cannot_write, NULL);
}
