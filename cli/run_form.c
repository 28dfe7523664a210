// SPDX-License-Identifier: Apache-2.0
/* Which form of `husk run`: see run_form.h. */
#include "cli/run_form.h"

#include <stdbool.h>
#include <string.h>

#include "base/checked.h"
#include "cli/run_options.h"

enum verdict { GOES_ON, MACHINE_ONLY, UNKNOWN };

/* An option by its whole name: no abbreviations here, `--init` is not `--initrd`. */
static const struct option *find_long(const char *name, size_t len)
{
    for (const struct option *at = run_long_options; at->name; at++) {
        if (strlen(at->name) == len && memcmp(at->name, name, len) == 0)
            return at;
    }
    return NULL;
}

/* The options that both forms know under the same name, whatever they mean there. */
static bool is_shared(const struct option *option)
{
    static const char *const shared[] = {"memory", "cpus", "help"};

    for (unsigned i = 0; i < ARRAY_SIZE(shared); i++) {
        if (!strcmp(option->name, shared[i]))
            return true;
    }
    return false;
}

static enum verdict read_long(char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    size_t len = strcspn(name, "=");
    const struct option *option = find_long(name, len);

    if (!option)
        return UNKNOWN;
    if (!is_shared(option))
        return MACHINE_ONLY;
    if (option->has_arg == required_argument && !name[len] && argv[*i + 1])
        ++*i;
    return GOES_ON;
}

static enum verdict read_letters(char **argv, int *i, struct run_doubt *doubt)
{
    for (const char *letter = argv[*i] + 1; *letter; letter++) {
        const char *known = *letter == ':' ? NULL : strchr(RUN_SHORT_OPTIONS, *letter);

        if (!known)
            return UNKNOWN;
        if (!strchr("dimv", *letter))
            return MACHINE_ONLY;
        if (known[1] != ':')
            continue;
        if (!letter[1] && argv[*i + 1]) {
            ++*i;
            if (*letter != 'm')
                *doubt = (struct run_doubt){*letter == 'd' ? "-d" : "-i", argv[*i]};
        }
        break;
    }
    return GOES_ON;
}

enum run_form run_form_of(int argc, char **argv, struct run_doubt *doubt)
{
    *doubt = (struct run_doubt){NULL, NULL};
    for (int i = 1; i < argc; i++) {
        struct run_doubt here = {NULL, NULL};
        enum verdict verdict;

        if (argv[i][0] != '-' || !argv[i][1])
            return RUN_CONTAINER;
        if (!strcmp(argv[i], "--")) {
            *doubt = here;
            return i + 1 < argc ? RUN_CONTAINER : RUN_MACHINE;
        }
        if (argv[i][1] == '-')
            verdict = read_long(argv, &i);
        else
            verdict = read_letters(argv, &i, &here);
        *doubt = here;
        if (verdict != GOES_ON)
            return verdict == UNKNOWN ? RUN_CONTAINER : RUN_MACHINE;
    }
    return RUN_MACHINE;
}
