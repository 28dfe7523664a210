// SPDX-License-Identifier: Apache-2.0
/* --security-opt: see security.h. No state. */
#include "pod/spec/security.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "pod/spec/part.h"

/* The value behind NAME and "=" (or ":", as engines once had it), or NULL. */
static const char *value_of(const char *word, const char *name)
{
    size_t len = strlen(name);

    return !strncmp(word, name, len) && (word[len] == '=' || word[len] == ':') ? word + len + 1
                                                                               : NULL;
}

static int parse_one(const char *word, struct security *out, struct husk_error *err)
{
    const char *seccomp = value_of(word, "seccomp");
    const char *privileges = value_of(word, "no-new-privileges");

    if (!strcmp(word, "no-new-privileges")) {
        out->no_new_privileges = true;
    } else if (privileges) {
        if (parse_bool(privileges, &out->no_new_privileges))
            return spec_refuse(err, EINVAL, "--security-opt", word, "is neither true nor false");
    } else if (seccomp) {
        if (!*seccomp)
            return spec_refuse(err, EINVAL, "--security-opt", word,
                               "wants seccomp=FILE, seccomp=unconfined or seccomp=builtin");
        out->seccomp_unconfined = !strcmp(seccomp, "unconfined");
        out->seccomp_file = out->seccomp_unconfined || !strcmp(seccomp, "builtin") ? NULL : seccomp;
    } else if (value_of(word, "apparmor") || value_of(word, "label")) {
        const char *value = strpbrk(word, "=:") + 1;

        /* The guest has neither module, which is what these words ask for. */
        if (strcmp(value, "unconfined") && strcmp(value, "disable"))
            return spec_refuse(err, ENOTSUP, "--security-opt", word,
                               "the guest's kernel has no such security module");
    } else {
        return spec_refuse(err, EINVAL, "--security-opt", word,
                           "is neither seccomp=... nor no-new-privileges");
    }
    return 0;
}

int security_parse(const struct spec_words *options, struct security *out, struct husk_error *err)
{
    int ret = 0;

    *out = (struct security){.seccomp_file = NULL};
    for (unsigned i = 0; i < options->count && !ret; i++)
        ret = parse_one(options->words[i], out, err);
    return ret;
}

int security_seccomp(const struct security *security, const struct seccomp_context *context,
                     json_t **out, struct husk_error *err)
{
    json_t *profile;
    int ret;

    *out = NULL;
    if (security->seccomp_unconfined)
        return 0;
    if (security->seccomp_file)
        return seccomp_file(security->seccomp_file, context, out, err);
    profile = seccomp_default();
    if (!profile)
        return spec_no_memory(err);
    ret = seccomp_compile(profile, context, "default", out, err);
    json_decref(profile);
    return ret;
}
