// SPDX-License-Identifier: Apache-2.0
/*
 * The files of one layer: see tree.h. Entries are found by a hash table over (directory, name); a
 * directory's entries are a list besides. The hash is keyed by the entry's address only within a
 * process, and never decides the order of anything that is written.
 */
#include "pod/image/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "pod/image/erofs.h"

#define FIRST_BUCKETS 1024u

static const char whiteout_prefix[] = ".wh.";
static const char whiteout_opaque[] = ".wh..wh..opq";
static const char whiteout_aufs[] = ".wh..wh.";

int tree_charge(struct tree *tree, uint64_t bytes)
{
    if (bytes > TREE_MEMORY_BYTES_MAX || tree->memory_bytes > TREE_MEMORY_BYTES_MAX - bytes)
        return -E2BIG;
    tree->memory_bytes += bytes;
    return 0;
}

/* FNV-1a, begun with the directory: names that collide in one directory do so in no other. */
static uint32_t hash_name(const struct tree_entry *parent, const char *name, size_t len)
{
    uint64_t hash = 14695981039346656037ull ^ (uintptr_t)parent;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)name[i]) * 1099511628211ull;
    return (uint32_t)(hash ^ hash >> 32);
}

static struct tree_entry *find(const struct tree *tree, const struct tree_entry *parent,
                               const char *name, size_t len)
{
    uint32_t hash = hash_name(parent, name, len);
    struct tree_entry *entry = tree->buckets[hash & (tree->bucket_count - 1)];

    while (entry && (entry->parent != parent || entry->name_len != len ||
                     memcmp(entry->name, name, len) != 0))
        entry = entry->bucket_next;
    return entry;
}

/* A failure leaves a table that is only slower. */
static void grow(struct tree *tree)
{
    uint32_t count = tree->bucket_count * 2;
    struct tree_entry **buckets = calloc(count, sizeof(struct tree_entry *));

    if (!buckets)
        return;
    for (uint32_t i = 0; i < tree->bucket_count; i++) {
        struct tree_entry *entry = tree->buckets[i];

        while (entry) {
            struct tree_entry *next = entry->bucket_next;

            entry->bucket_next = buckets[entry->hash & (count - 1)];
            buckets[entry->hash & (count - 1)] = entry;
            entry = next;
        }
    }
    free(tree->buckets);
    tree->buckets = buckets;
    tree->bucket_count = count;
}

static void release_inode(struct tree_inode *inode)
{
    if (--inode->links > 0)
        return;
    free(inode->data);
    free(inode->xattrs);
    free(inode);
}

/* A new entry with an inode that the caller has counted for it. */
static int insert(struct tree *tree, struct tree_entry *parent, const char *name, size_t len,
                  struct tree_inode *inode, struct tree_entry **out)
{
    struct tree_entry *entry;
    int ret;

    if (tree->entry_count >= TREE_INODES_MAX)
        return -E2BIG;
    ret = tree_charge(tree, sizeof(*entry) + len + sizeof(*inode) + 64);
    if (ret)
        return ret;
    entry = calloc(1, sizeof(*entry) + len);
    if (!entry)
        return -ENOMEM;
    if (tree->entry_count >= tree->bucket_count)
        grow(tree);
    memcpy(entry->name, name, len);
    entry->name_len = (uint8_t)len;
    entry->parent = parent;
    entry->inode = inode;
    entry->hash = hash_name(parent, name, len);
    entry->bucket_next = tree->buckets[entry->hash & (tree->bucket_count - 1)];
    tree->buckets[entry->hash & (tree->bucket_count - 1)] = entry;
    if (parent) {
        entry->next = parent->children;
        if (entry->next)
            entry->next->previous = entry;
        parent->children = entry;
    }
    tree->entry_count++;
    *out = entry;
    return 0;
}

static int insert_new(struct tree *tree, struct tree_entry *parent, const char *name, size_t len,
                      const struct tree_inode *like, struct tree_entry **out)
{
    struct tree_inode *inode = malloc(sizeof(*inode));
    int ret;

    if (!inode)
        return -ENOMEM;
    *inode = *like;
    inode->links = 1;
    ret = insert(tree, parent, name, len, inode, out);
    if (ret)
        free(inode);
    return ret;
}

/* An entry without children. */
static void remove_leaf(struct tree *tree, struct tree_entry *entry)
{
    struct tree_entry **at = &tree->buckets[entry->hash & (tree->bucket_count - 1)];

    while (*at != entry)
        at = &(*at)->bucket_next;
    *at = entry->bucket_next;
    if (entry->previous)
        entry->previous->next = entry->next;
    else if (entry->parent)
        entry->parent->children = entry->next;
    if (entry->next)
        entry->next->previous = entry->previous;
    release_inode(entry->inode);
    free(entry);
    tree->entry_count--;
}

/* With all that is below it; without recursion, for the depth is a stranger's choice. */
static void remove_entry(struct tree *tree, struct tree_entry *top)
{
    struct tree_entry *at = top;

    while (true) {
        struct tree_entry *parent = at->parent;

        if (at->children) {
            at = at->children;
            continue;
        }
        remove_leaf(tree, at);
        if (at == top)
            return;
        at = parent;
    }
}

int tree_init(struct tree *tree)
{
    static const struct tree_inode like = {.mode = S_IFDIR | 0755, .implied = true};
    int ret;

    memset(tree, 0, sizeof(*tree));
    tree->bucket_count = FIRST_BUCKETS;
    tree->buckets = calloc(tree->bucket_count, sizeof(struct tree_entry *));
    ret = tree->buckets ? insert_new(tree, NULL, "", 0, &like, &tree->root) : -ENOMEM;
    if (ret)
        tree_clear(tree);
    return ret;
}

void tree_clear(struct tree *tree)
{
    if (tree->root)
        remove_entry(tree, tree->root);
    free(tree->buckets);
    memset(tree, 0, sizeof(*tree));
}

struct tree_entry *tree_next(const struct tree_entry *entry)
{
    if (entry->children)
        return entry->children;
    while (entry && !entry->next)
        entry = entry->parent;
    return entry ? entry->next : NULL;
}

static bool is_directory(const struct tree_entry *entry)
{
    return S_ISDIR(entry->inode->mode);
}

static bool is_whiteout(const struct tree_entry *entry)
{
    return S_ISCHR(entry->inode->mode) && entry->inode->rdev == 0;
}

/* The next name of a path, with blanks ("", ".") skipped. 1 and the name, 0 at the end, -errno. */
static int next_name(const char **path, const char **name, size_t *len)
{
    while (true) {
        *path += strspn(*path, "/");
        *name = *path;
        *len = strcspn(*path, "/");
        *path += *len;
        if (*len == 0)
            return 0;
        if (*len == 1 && **name == '.')
            continue;
        if (*len == 2 && !memcmp(*name, "..", 2))
            return -EINVAL;
        return *len > TREE_NAME_BYTES_MAX ? -ENAMETOOLONG : 1;
    }
}

/* Makes directories on the way when `make`; leaves the last name to the caller, len 0 for "/". */
static int walk(struct tree *tree, const char *path, bool make, struct tree_entry **parent,
                const char **name, size_t *len)
{
    static const struct tree_inode like = {.mode = S_IFDIR | 0755, .implied = true};
    struct tree_entry *at = tree->root;
    const char *following;
    size_t following_len;
    unsigned depth = 0;
    int ret;

    if (strlen(path) > TREE_PATH_BYTES_MAX)
        return -ENAMETOOLONG;
    ret = next_name(&path, name, len);
    while (ret > 0) {
        struct tree_entry *child;

        ret = next_name(&path, &following, &following_len);
        if (ret <= 0)
            break;
        if (++depth >= TREE_DEPTH_MAX)
            return -ENAMETOOLONG;
        child = find(tree, at, *name, *len);
        if (child && make && is_whiteout(child)) {
            remove_entry(tree, child);
            child = NULL;
            ret = insert_new(tree, at, *name, *len, &like, &child);
            if (ret)
                return ret;
            child->inode->opaque = true;
        }
        if (!child && !make)
            return -ENOENT;
        if (!child) {
            if (!strncmp(*name, whiteout_prefix, sizeof(whiteout_prefix) - 1))
                return -EINVAL; /* a name that no layer can bring into being */
            ret = insert_new(tree, at, *name, *len, &like, &child);
            if (ret)
                return ret;
        }
        if (!is_directory(child))
            return -ENOTDIR;
        at = child;
        *name = following;
        *len = following_len;
        ret = 1;
    }
    *parent = at;
    return ret < 0 ? ret : 0;
}

/* layer.md, "Whiteouts": they apply to lower layers only. What this layer has under the name
 * stays, but a directory no longer lets lower ones through. */
static int add_whiteout(struct tree *tree, struct tree_entry *parent, const char *name, size_t len)
{
    static const struct tree_inode like = {.mode = S_IFCHR};
    struct tree_entry *entry;

    if (len == sizeof(whiteout_opaque) - 1 && !memcmp(name, whiteout_opaque, len)) {
        parent->inode->opaque = true;
        return 1;
    }
    if (len >= sizeof(whiteout_aufs) - 1 && !memcmp(name, whiteout_aufs, sizeof(whiteout_aufs) - 1))
        return 1;
    name += sizeof(whiteout_prefix) - 1;
    len -= sizeof(whiteout_prefix) - 1;
    if (len == 0 || (len == 1 && name[0] == '.') || (len == 2 && !memcmp(name, "..", 2)))
        return -EINVAL;
    entry = find(tree, parent, name, len);
    if (!entry) {
        int ret = insert_new(tree, parent, name, len, &like, &entry);

        return ret ? ret : 1;
    }
    if (is_directory(entry))
        entry->inode->opaque = true;
    return 1;
}

static bool has_whiteout_name(const char *name, size_t len)
{
    return len >= sizeof(whiteout_prefix) - 1 &&
           !memcmp(name, whiteout_prefix, sizeof(whiteout_prefix) - 1);
}

/* A directory described again: what was said of it before no longer counts. */
static void describe_again(struct tree *tree, struct tree_inode *inode,
                           const struct tree_inode *like)
{
    inode->mode = like->mode;
    inode->uid = like->uid;
    inode->gid = like->gid;
    inode->mtime_s = like->mtime_s;
    inode->mtime_ns = like->mtime_ns;
    inode->implied = false;
    free(inode->xattrs);
    tree->memory_bytes -= inode->xattr_bytes;
    inode->xattrs = NULL;
    inode->xattr_bytes = 0;
}

int tree_add(struct tree *tree, const char *path, const struct tree_inode *like,
             struct tree_entry **out)
{
    struct tree_entry *parent, *old;
    bool hides = false;
    const char *name;
    size_t len;
    int ret;

    *out = NULL;
    ret = walk(tree, path, true, &parent, &name, &len);
    if (ret)
        return ret;
    if (len == 0) {
        if (!S_ISDIR(like->mode))
            return -ENOTDIR;
        describe_again(tree, tree->root->inode, like);
        *out = tree->root;
        return 0;
    }
    if (has_whiteout_name(name, len))
        return add_whiteout(tree, parent, name, len);
    old = find(tree, parent, name, len);
    if (old && is_directory(old) && S_ISDIR(like->mode)) {
        describe_again(tree, old->inode, like);
        *out = old;
        return 0;
    }
    if (old) {
        hides = is_whiteout(old);
        remove_entry(tree, old);
    }
    ret = insert_new(tree, parent, name, len, like, out);
    if (ret == 0 && S_ISDIR(like->mode))
        (*out)->inode->opaque = hides;
    return ret;
}

int tree_link(struct tree *tree, const char *path, const char *target)
{
    struct tree_entry *parent, *old, *to, *entry;
    struct tree_inode *inode;
    const char *name;
    size_t len;
    int ret = walk(tree, target, false, &parent, &name, &len);

    if (ret)
        return ret;
    to = len ? find(tree, parent, name, len) : tree->root;
    if (!to || is_whiteout(to))
        return -ENOENT;
    if (is_directory(to))
        return -EISDIR;
    ret = walk(tree, path, true, &parent, &name, &len);
    if (ret)
        return ret;
    if (len == 0)
        return -ENOTDIR;
    if (has_whiteout_name(name, len))
        return add_whiteout(tree, parent, name, len);
    inode = to->inode;
    old = find(tree, parent, name, len);
    if (old && old->inode == inode)
        return 0;
    inode->links++; /* what is removed now may have the target's last other name in it */
    if (old)
        remove_entry(tree, old);
    ret = insert(tree, parent, name, len, inode, &entry);
    if (ret)
        release_inode(inode);
    return ret;
}

/* Which prefix of EROFS a name has that is kept, and the rest of the name. */
static uint8_t kept_prefix(const char **name)
{
    static const char user[] = "user.", security[] = "security.";

    if (!strcmp(*name, "security.capability")) {
        *name += sizeof(security) - 1;
        return EROFS_XATTR_SECURITY;
    }
    /* A layer that could set overlayfs's attributes could redirect into other directories. */
    if (!strncmp(*name, user, sizeof(user) - 1) && strncmp(*name, "user.overlay.", 13) != 0) {
        *name += sizeof(user) - 1;
        return EROFS_XATTR_USER;
    }
    return 0;
}

int tree_add_xattr(struct tree *tree, struct tree_inode *inode, const char *name, const void *value,
                   size_t len)
{
    uint8_t prefix = kept_prefix(&name);
    size_t name_len = strnlen(name, TREE_NAME_BYTES_MAX + 1), packed;
    uint8_t *bytes;
    int ret;

    if (!prefix || name_len == 0)
        return 0;
    if (name_len > TREE_NAME_BYTES_MAX || len > TREE_XATTR_BYTES_MAX)
        return -E2BIG;
    packed = (EROFS_XATTR_ENTRY_BYTES + name_len + len + 3) & ~(size_t)3;
    if (inode->xattr_bytes + packed > TREE_XATTR_BYTES_MAX)
        return -E2BIG;
    ret = tree_charge(tree, packed);
    if (ret)
        return ret;
    bytes = realloc(inode->xattrs, inode->xattr_bytes + packed);
    if (!bytes)
        return -ENOMEM;
    inode->xattrs = bytes;
    bytes += inode->xattr_bytes;
    memset(bytes, 0, packed);
    bytes[0] = (uint8_t)name_len;
    bytes[1] = prefix;
    put_le16(bytes + 2, (uint16_t)len);
    memcpy(bytes + EROFS_XATTR_ENTRY_BYTES, name, name_len);
    if (len)
        memcpy(bytes + EROFS_XATTR_ENTRY_BYTES + name_len, value, len);
    inode->xattr_bytes += (uint32_t)packed;
    return 0;
}
