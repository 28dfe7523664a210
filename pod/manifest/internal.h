// SPDX-License-Identifier: Apache-2.0
/* A manifest's own parts: what its files share. */
#ifndef HUSK_POD_MANIFEST_INTERNAL_H
#define HUSK_POD_MANIFEST_INTERNAL_H

#include "pod/manifest/manifest.h"
#include "pod/manifest/schema.h"
#include "pod/manifest/yaml.h"

#define MANIFEST_ALL_DOCUMENTS 4096u /* after joining; and objects, those of lists included */

/* A text that was read, kept for the lines of errors that are found later. */
struct manifest_source {
    char *name;
    struct yaml_text text;
};

/* Where an object stands: for "FILE:LINE". The source is the manifest's. */
struct manifest_origin {
    const struct manifest_source *source;
    const struct yaml_place *place;
    const char *prefix; /* that the paths of its fields have there: "" or "spec.template." */
};

enum manifest_kind { MANIFEST_POD, MANIFEST_CONFIG_MAP, MANIFEST_SECRET, MANIFEST_DEPLOYMENT };

struct manifest_object {
    enum manifest_kind kind;
    char *name;    /* NAME, or NAMESPACE/NAME */
    json_t *value; /* canonical; of a Deployment NULL: its pods stand for it */
    struct manifest_origin origin;
};

struct husk_manifest {
    struct manifest_source **sources;
    struct manifest_object *objects; /* in the order of the documents */
    unsigned source_count, object_count, document_count;
};

/* One of that kind and name, or NULL. */
const struct manifest_object *manifest_find(const struct husk_manifest *manifest,
                                            enum manifest_kind kind, const char *name);

/* "NAME", or "NAMESPACE/NAME" for another namespace than "default"; the caller's, or NULL. */
char *manifest_full_name(const char *space, const char *name);

/* The index'th of a kind; NULL beyond. */
struct manifest_object *manifest_nth(const struct husk_manifest *manifest, enum manifest_kind kind,
                                     unsigned index);
unsigned manifest_count(const struct husk_manifest *manifest, enum manifest_kind kind);

/* A new object, which takes name and value in any case. -EEXIST for one that is there already,
 * -E2BIG, -ENOMEM. */
int manifest_add(struct husk_manifest *manifest, const struct manifest_object *object,
                 struct husk_error *err);

/* One document into objects: documents.c. */
int manifest_add_document(struct husk_manifest *manifest, const struct manifest_source *source,
                          const struct yaml_document *document,
                          const struct husk_manifest_options *options, struct husk_error *err);

/* The canonical {"data", "binaryData"} of a config map, or {"data"} of a secret; new references. */
int object_read(struct schema_check *check, enum manifest_kind kind, const json_t *value,
                json_t **out);

#endif
