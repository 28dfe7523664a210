// SPDX-License-Identifier: Apache-2.0
/*
 * husk image: hands over to the program husk-oci, which is one of its own because of what it
 * needs: libcurl with TLS, libarchive. A husk that boots a machine neither loads nor contains them.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (!strcmp(argv[i], "--help"))
            return true;
    }
    return false;
}

static int run_image(int argc, char **argv, uint64_t started_ns)
{
    char path[PATH_MAX];
    const char *program;

    if (argc == 1)
        return cli_usage_error(&cmd_image, "image: wants pull, load, ls, rm, inspect or prune");
    if (wants_help(argc, argv)) {
        command_print_help(&cmd_image);
        return STATUS_OK;
    }
    program = oci_program_find(path, sizeof(path));
    execv(program, argv);
    cli_message("%s: cannot be started: %s", program, error_text(errno));
    return STATUS_MONITOR_ERROR;
}

const struct command cmd_image = {
    .name = "image",
    .summary = "pull, load, list and remove container images",
    .synopsis = "image pull|load|ls|rm|inspect|prune [OPTION...] [ARGUMENT...]",
    .help =
        "  pull IMAGE      get an image from its registry: [REGISTRY/]NAME[:TAG][@DIGEST]\n"
        "  load PATH       get it from an OCI layout, an OCI or docker archive, or - (stdin)\n"
        "  ls              the images in the store\n"
        "  rm IMAGE...     remove images, and the layers that no other image needs\n"
        "  inspect IMAGE   all that is known of one, as JSON\n"
        "  prune           remove what no image needs and what killed commands left\n"
        "\n"
        "An IMAGE in the store is its name or the beginning of its ID.\n"
        "\n"
        "      --store DIRECTORY  the store; default: $HUSK_STORE, or /var/lib/husk/images for\n"
        "                         root, ~/.local/share/husk/images for others\n"
        "      --json             the result as one JSON object on standard output\n"
        "  -q, --quiet            no progress\n"
        "pull and load:\n"
        "      --platform OS/ARCHITECTURE[/VARIANT]\n"
        "                         of images for several; default: this machine's\n"
        "      --threads N        layers at a time, 1 to 16; default: 4\n"
        "pull:\n"
        "      --ca-file FILE     certificates to trust instead of the system's\n"
        "      --auth-file FILE   passwords, as podman and docker keep them; default: theirs\n"
        "      --user NAME        with a password from the first line of standard input\n"
        "      --plain-http       no TLS; with loopback, that is found out\n"
        "rm:\n"
        "  -f, --force            also the name of one that containers or pods have; layers of\n"
        "                         containers stay as long as those do\n"
        "load:\n"
        "      --name IMAGE       what it is called from now on\n"
        "      --only NAME        which of several images: its name there, or its digest\n"
        "\n"
        "Exit status: 0 done; 119 usage error; 125 failure, with nothing half-made left.\n",
    .run = run_image,
};
