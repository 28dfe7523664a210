// SPDX-License-Identifier: Apache-2.0
/*
 * The directory of manifests. Every file whose name ends in ".yaml", ".yml" or ".json" and does not
 * begin with "." counts; links to files do, too. What editors and package managers leave beside
 * has other names.
 *
 * A file with pods brings them, with the config maps and secrets that it has for itself. A file
 * without pods brings its config maps and secrets for the pods of all files.
 *
 * One thread.
 */
#ifndef HUSK_CLI_NODE_SOURCE_H
#define HUSK_CLI_NODE_SOURCE_H

#include "cli/node/plan.h"
#include "husk/pod.h"

#define SOURCE_FILES_MAX      1000u
#define SOURCE_FILE_BYTES_MAX (4u << 20)

struct source;

/* directory: absolute. It need not be there yet. -errno. */
int source_create(const char *directory, struct source **out);
/* NULL is fine. */
void source_destroy(struct source *source);

/* An inotify descriptor: readable when something about the directory may have changed. */
int source_fd(const struct source *source);
void source_clear(struct source *source);

/* Looks at all files, and reads anew what has changed. err, when the directory cannot be read: then
 * source_wanted()->unknown is set. 0 or -errno. */
int source_scan(struct source *source, struct husk_error *err);

/* Of the last scan, until the next. */
const struct wanted *source_wanted(const struct source *source);
/* Why the file is broken; "" when it is not. */
const char *source_error(const struct source *source, size_t file);
/* With what else its pods refer to; NULL for a file that has none. */
struct husk_manifest *source_manifest(const struct source *source, size_t file);

/* Whether a file of that name counts. */
bool source_takes(const char *name);

#endif
