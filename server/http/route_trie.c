/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The children of all tries, in one hash table keyed by parent and text. A node
 * knows whether it has any, so that building and matching search only where
 * there is something to find.
 */
#include "http/routes.h"

#include <string.h>

uint32_t route_text_hash(const char *text, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    }
    return hash;
}

/* The place in the table of a literal below parent; its lowest bit is clear. */
static uint32_t child_hash(const struct trie_node *parent, uint32_t text_hash)
{
    uint32_t hash = (text_hash ^ (uint32_t)((uintptr_t)parent >> 4)) * 0x9e3779b1u;

    return (hash ^ hash >> 15) & ~(uint32_t)EXPRESSION_BIT;
}

static struct trie_node **bucket_of(const struct route_set *set, uint32_t hash)
{
    return &set->buckets[hash >> 1 & (set->bucket_count - 1)];
}

static struct trie_node *find_node(const struct route_set *set, const struct trie_node *parent,
                                   const char *text, size_t len, uint32_t hash)
{
    struct trie_node *node = parent->is_parent ? *bucket_of(set, hash) : NULL;

    while (node && (node->hash != hash || node->parent != parent || node->len != len ||
                    memcmp(node->text, text, len) != 0)) {
        node = node->chain;
    }
    return node;
}

struct trie_node *route_child(const struct route_set *set, const struct trie_node *parent,
                              const char *text, size_t len, uint32_t text_hash)
{
    return find_node(set, parent, text, len, child_hash(parent, text_hash));
}

static uint32_t expression_hash(const struct trie_node *parent, const char *text, size_t len)
{
    return child_hash(parent, route_text_hash(text, len)) | EXPRESSION_BIT;
}

struct expression_node *route_expression(const struct route_set *set,
                                         const struct trie_node *parent, const char *text,
                                         size_t len)
{
    return (struct expression_node *)(void *)find_node(set, parent, text, len,
                                                       expression_hash(parent, text, len));
}

static void grow_buckets(struct route_set *set)
{
    uint32_t count = set->bucket_count * 4;
    struct trie_node **buckets = apr_pcalloc(set->pool, count * sizeof(struct trie_node *));

    for (uint32_t i = 0; i < set->bucket_count; i++) {
        struct trie_node *node = set->buckets[i];

        while (node) {
            struct trie_node *next = node->chain;

            node->chain = buckets[node->hash >> 1 & (count - 1)];
            buckets[node->hash >> 1 & (count - 1)] = node;
            node = next;
        }
    }
    set->buckets = buckets;
    set->bucket_count = count;
}

static void link_node(struct route_set *set, struct trie_node *node, struct trie_node *parent,
                      const char *text, size_t len, uint32_t hash)
{
    struct trie_node **bucket;

    if (set->node_count++ >= set->bucket_count) {
        grow_buckets(set);
    }
    parent->is_parent = 1;
    node->parent = parent;
    node->text = text;
    node->len = (uint32_t)len & 0x7fffffffu;
    node->hash = hash;
    bucket = bucket_of(set, hash);
    node->chain = *bucket;
    *bucket = node;
}

struct trie_node *route_add_child(struct route_set *set, struct trie_node *parent, const char *text,
                                  size_t len)
{
    uint32_t hash = child_hash(parent, route_text_hash(text, len));
    struct trie_node *node = find_node(set, parent, text, len, hash);

    if (node == NULL) {
        node = apr_pcalloc(set->pool, sizeof(*node));
        link_node(set, node, parent, text, len, hash);
    }
    return node;
}

struct trie_node *route_add_expression(struct route_set *set, struct trie_node *parent,
                                       const char *text, size_t len, struct regex *regex,
                                       unsigned order)
{
    struct expression_node *node = apr_pcalloc(set->pool, sizeof(*node));

    node->regex = regex;
    node->order = order;
    link_node(set, &node->node, parent, text, len, expression_hash(parent, text, len));
    node->next = node;
    if (parent->last_expr) {
        node->next = parent->last_expr->next;
        parent->last_expr->next = node;
    }
    parent->last_expr = node;
    return &node->node;
}
