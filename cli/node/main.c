// SPDX-License-Identifier: Apache-2.0
/* Entry point of husk-node, what `husk node` becomes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/node/check.h"
#include "cli/node/node.h"

/* As those of every command of husk. */
#define EXIT_USAGE  119
#define EXIT_FAILED 125

int main(int argc, char **argv)
{
    struct node_options options;
    struct husk_error err = {0};
    char text[640];
    int status = 0, ret;

    /* A file of the store must not become standard error. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return EXIT_FAILED;
    }
    if (node_options_parse(argc, argv, &options, &err))
        status = EXIT_USAGE;
    else if (options.help)
        fputs(node_help, stdout);
    else if ((ret = node_check(&options, &err)))
        status = ret == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
    else if (node_run(&options, &err))
        status = EXIT_FAILED;
    if (status)
        fprintf(stderr, "husk: %s\n", error_format(&err, text, sizeof(text)));
    return fflush(stdout) ? EXIT_FAILED : status;
}
