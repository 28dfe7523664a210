// SPDX-License-Identifier: Apache-2.0
/*
 * Reading a grub.cfg. (GRUB manual 2.12: "Shell-like scripting", "default", "menuentry".)
 *
 * The file is a script; nothing of it is run. It is read as a list of commands, with the branches
 * of every `if` one after the other, of which these count: set, menuentry, submenu, and within an
 * entry linux and initrd. That is enough for what grub-mkconfig writes, which a distribution's
 * image has: branches in there set up screens and load modules. The last `set` of a variable to
 * something wins; where an entry has several kernels (Ubuntu's with and without its initrd), the
 * first that has an initrd is taken.
 *
 * Pure text work, each byte looked at once. What is too long is left out with its command.
 */
#include "image/grub.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX    64u
#define COMMAND_MAX  4096u
#define DEPTH_MAX    16u
#define BLANKS       " \t\r"
#define COMMAND_ENDS "\n;"

struct command {
    char bytes[COMMAND_MAX];
    const char *words[WORDS_MAX];
    unsigned count;
    bool too_long;
};

enum block { BLOCK_OTHER, BLOCK_SUBMENU, BLOCK_ENTRY };

struct reader {
    struct environment *env;
    struct image_choice *choice; /* the best so far */
    bool has_choice;             /* any entry at all */
    bool has_default;            /* the one that is asked for: no other counts any more */

    enum block blocks[DEPTH_MAX];
    unsigned next[DEPTH_MAX + 1]; /* how many entries there were in the menu at this depth */
    char paths[DEPTH_MAX + 1][64];
    unsigned depth;
    unsigned ignored; /* blocks deeper than DEPTH_MAX */

    bool in_entry, entry_is_default;
    struct image_choice entry;   /* the kernel that was named last in this entry */
    struct image_choice settled; /* the one that is taken of this entry */
    bool has_settled;
};

/* ---- words ---- */

/* What a variable outside quotes holds is several words: where each begins, while a word is read.
 */
#define SPLIT '\1'

static bool expand(const char **text, const struct environment *env, struct command *command,
                   size_t *used, bool split)
{
    size_t start = *used;

    if (environment_expand_one(env, text, command->bytes, COMMAND_MAX - 1, used))
        return false;
    for (size_t i = start; split && i < *used; i++) {
        if (strchr(BLANKS "\n", command->bytes[i]))
            command->bytes[i] = SPLIT;
    }
    return true;
}

/* Reads one word at *at behind the words so far; false when it does not fit. */
static bool read_word(const char **at, const struct environment *env, struct command *command,
                      size_t *used, bool *has_quotes)
{
    const char *text = *at;
    char quote = '\0';
    bool fits = true;

    *has_quotes = false;

    while (*text && (quote || !strchr(BLANKS COMMAND_ENDS, *text))) {
        char c = *text++;

        if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? '\0' : c;
            *has_quotes = true;
            continue;
        }
        if (c == '\\' && quote != '\'' && *text) {
            c = *text++;
            if (c == '\n') /* the line goes on */
                continue;
        } else if (c == '$' && quote != '\'') {
            fits = fits && expand(&text, env, command, used, !quote);
            continue;
        }
        if (*used + 1 < COMMAND_MAX)
            command->bytes[(*used)++] = c;
        else
            fits = false;
    }
    *at = text;
    return fits;
}

/* The words in bytes start..used; "" is one only where quotes say so. False when there are too
 * many.
 */
static bool add_words(struct command *command, size_t start, size_t *used, bool has_quotes)
{
    char *at = command->bytes + start;
    char *end = command->bytes + *used;

    *end = '\0';
    ++*used;
    while (at <= end) {
        char *split = memchr(at, SPLIT, (size_t)(end - at));

        if (!split)
            split = end;
        *split = '\0';
        if (split > at || (has_quotes && at == command->bytes + start)) {
            if (command->count == WORDS_MAX)
                return false;
            command->words[command->count++] = at;
        }
        at = split + 1;
    }
    return true;
}

/* The next command that has a word; false at the end. */
static bool read_command(const char **text, const struct environment *env, struct command *command)
{
    const char *at = *text;
    size_t used = 0;

    command->count = 0;
    command->too_long = false;
    while (*at) {
        size_t start = used;
        bool has_quotes;

        at += strspn(at, BLANKS);
        if (*at == '#')
            at += strcspn(at, "\n");
        if (*at && strchr(COMMAND_ENDS, *at)) {
            at++;
            if (command->count)
                break;
            continue;
        }
        if (!*at)
            break;
        if (!read_word(&at, env, command, &used, &has_quotes) || used + 1 >= COMMAND_MAX ||
            !add_words(command, start, &used, has_quotes)) {
            command->too_long = true;
            used = start;
            continue;
        }
        /* A block begins: what follows on this line is a command of its own. */
        if (command->count && !strcmp(command->words[command->count - 1], "{"))
            break;
    }
    *text = at;
    return command->count > 0;
}

/* ---- entries ---- */

static const char *last_part(const char *path)
{
    const char *arrow = strrchr(path, '>');

    return arrow ? arrow + 1 : path;
}

/* Whether this menu entry is the one that "default" names: its number ("0", "1>2"), title or id. */
static bool is_default(const struct reader *reader, const struct command *command, const char *path)
{
    const char *wanted = environment_get(reader->env, "default", strlen("default"));

    if (!*wanted)
        wanted = "0";
    if (!strcmp(wanted, path))
        return true;
    wanted = last_part(wanted);
    if (command->count > 1 && !strcmp(wanted, command->words[1]))
        return true;
    for (unsigned i = 2; i + 1 < command->count; i++) {
        if (!strcmp(command->words[i], "--id"))
            return !strcmp(wanted, command->words[i + 1]);
    }
    return false;
}

static void begin_block(struct reader *reader, const struct command *command)
{
    enum block block = BLOCK_OTHER;
    char above[48], *path;
    unsigned number = reader->next[reader->depth];

    if (reader->ignored || reader->depth + 1 > DEPTH_MAX - 1) {
        reader->ignored++;
        return;
    }
    if (!reader->in_entry && !strcmp(command->words[0], "submenu"))
        block = BLOCK_SUBMENU;
    else if (!reader->in_entry && !strcmp(command->words[0], "menuentry"))
        block = BLOCK_ENTRY;
    snprintf(above, sizeof(above), "%.40s", reader->paths[reader->depth]);
    path = reader->paths[reader->depth + 1];
    snprintf(path, sizeof(reader->paths[0]), "%s%s%u", above, *above ? ">" : "", number);
    if (block != BLOCK_OTHER)
        reader->next[reader->depth]++;
    if (block == BLOCK_ENTRY) {
        reader->in_entry = true;
        reader->entry_is_default = is_default(reader, command, path);
        reader->entry.linux_path[0] = '\0';
        reader->has_settled = false;
    }
    reader->blocks[reader->depth++] = block;
    reader->next[reader->depth] = 0;
}

/* The kernel that was named last is complete: does it count? */
static void settle(struct reader *reader)
{
    if (reader->entry.linux_path[0] &&
        (!reader->has_settled ||
         (reader->settled.initrd_count == 0 && reader->entry.initrd_count > 0))) {
        reader->settled = reader->entry;
        reader->has_settled = true;
    }
}

static void end_block(struct reader *reader)
{
    if (reader->ignored) {
        reader->ignored--;
        return;
    }
    if (reader->depth == 0 || reader->blocks[--reader->depth] != BLOCK_ENTRY)
        return;
    settle(reader);
    reader->in_entry = false;
    if (!reader->has_settled || reader->has_default ||
        (reader->has_choice && !reader->entry_is_default))
        return;
    *reader->choice = reader->settled;
    reader->has_choice = true;
    reader->has_default = reader->entry_is_default;
}

/* "(hd0,gpt1)/vmlinuz" and "($root)/vmlinuz": the file is looked for beside the grub.cfg. */
static const char *without_device(const char *path)
{
    const char *end = *path == '(' ? strchr(path, ')') : NULL;

    return end ? end + 1 : path;
}

static void add_kernel(struct reader *reader, const struct command *command)
{
    struct image_choice *entry = &reader->entry;
    const char *path = command->count > 1 ? without_device(command->words[1]) : "";

    settle(reader);
    entry->initrd_count = 0;
    entry->options[0] = '\0';
    if (!text_copy(entry->linux_path, sizeof(entry->linux_path), path, strlen(path)))
        entry->linux_path[0] = '\0';
    for (unsigned i = 2; i < command->count; i++) {
        char quoted[IMAGE_OPTIONS_MAX];
        const char *word = command->words[i];

        /* The kernel takes quotes around a whole word. (kernel/params.c, next_arg()) */
        if (strchr(word, ' ')) {
            if ((size_t)snprintf(quoted, sizeof(quoted), "\"%s\"", word) >= sizeof(quoted))
                entry->linux_path[0] = '\0';
            word = quoted;
        }
        if (!text_append_word(entry->options, sizeof(entry->options), word))
            entry->linux_path[0] = '\0';
    }
}

static void add_initrds(struct reader *reader, const struct command *command)
{
    struct image_choice *entry = &reader->entry;

    entry->initrd_count = 0;
    for (unsigned i = 1; i < command->count && entry->initrd_count < IMAGE_INITRDS_MAX; i++) {
        const char *path = without_device(command->words[i]);

        if (!text_copy(entry->initrds[entry->initrd_count++], IMAGE_PATH_MAX, path, strlen(path)))
            entry->linux_path[0] = '\0';
    }
}

static void set_variable(struct reader *reader, const char *assignment)
{
    size_t name_len = strcspn(assignment, "=");

    /* To nothing: a branch that is taken when the other one is not. */
    if (assignment[name_len] && assignment[name_len + 1])
        environment_set(reader->env, assignment, name_len, assignment + name_len + 1,
                        strlen(assignment + name_len + 1));
}

static bool names(const char *word, const char *command)
{
    size_t len = strlen(command);

    return !strncmp(word, command, len) &&
           (!word[len] || !strcmp(word + len, "16") || !strcmp(word + len, "efi"));
}

static void do_command(struct reader *reader, const struct command *command)
{
    const char *word = command->words[0];

    if (!strcmp(word, "}")) {
        end_block(reader);
    } else if (!strcmp(command->words[command->count - 1], "{")) {
        begin_block(reader, command);
    } else if (!command->too_long && !strcmp(word, "set") && command->count == 2) {
        set_variable(reader, command->words[1]);
    } else if (reader->in_entry && names(word, "linux")) {
        if (command->too_long) /* half a command line is none */
            reader->entry.linux_path[0] = '\0';
        else
            add_kernel(reader, command);
    } else if (reader->in_entry && names(word, "initrd") && !command->too_long) {
        add_initrds(reader, command);
    }
}

bool grub_parse(const char *text, struct environment *env, struct image_choice *choice)
{
    static const char id_option[] = "menuentry_id_option", id[] = "--id";
    struct reader *reader = calloc(1, sizeof(*reader));
    struct command *command = malloc(sizeof(*command));
    bool found = false;

    if (reader && command) {
        reader->env = env;
        reader->choice = choice;
        environment_set(env, id_option, strlen(id_option), id, strlen(id));
        while (read_command(&text, env, command))
            do_command(reader, command);
        found = reader->has_choice;
    }
    free(command);
    free(reader);
    return found;
}
