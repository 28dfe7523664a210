// SPDX-License-Identifier: Apache-2.0
/*
 * Which of its two forms a `husk run` has: the one that boots a machine (options alone), or the one
 * that runs a container (options, an image, and the command for it).
 *
 * The rule, which looks at the words and at nothing else: the words are read as those of the form
 * for machines. An option that only this form has makes it this form. A word left over, which this
 * form never has, or an option that it does not have, makes it the form for containers. When
 * neither comes, it is the form for machines.
 *
 * So `run -d WORD` is a disk: a container is `run --detach IMAGE`, or -d anywhere but before the
 * last word.
 */
#ifndef HUSK_CLI_RUN_FORM_H
#define HUSK_CLI_RUN_FORM_H

enum run_form { RUN_MACHINE, RUN_CONTAINER };

/* The option, -d or -i, whose value at the very end may have been meant as an image; NULL and NULL
 * when there is none such. */
struct run_doubt {
    const char *option, *value;
};

/* argv[0] is "run". */
enum run_form run_form_of(int argc, char **argv, struct run_doubt *doubt);

#endif
