/* SPDX-License-Identifier: Apache-2.0 */
/* dladdr() knows exported symbols alone; the others stand in the object's file, in its symbol
 * table, unless it was stripped. A file is read with care: it may have been replaced. */
#include "worker/stack.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/http_app.h"

enum { NAME_MAX_BYTES = 100 };

struct image {
    const char *bytes;
    size_t size;
};

/* A frame's place. */
struct place {
    const char *file;          /* of the object */
    const char *base;          /* its first byte */
    uintptr_t address;         /* as its symbol table counts */
    uintptr_t offset;          /* from the function's start */
    char name[NAME_MAX_BYTES]; /* "" unknown */
};

/* ---- Symbol tables ------------------------------------------------------ */

static bool image_open(struct image *image, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *bytes = MAP_FAILED;

    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)sizeof(ElfW(Ehdr))) {
        bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    (void)close(fd);
    *image = (struct image){ bytes, bytes != MAP_FAILED ? (size_t)st.st_size : 0 };
    return image->size > 0 && memcmp(image->bytes, ELFMAG, SELFMAG) == 0;
}

static void image_close(struct image *image)
{
    if (image->size > 0) {
        (void)munmap((void *)(uintptr_t)image->bytes, image->size);
    }
}

/* count elements of size at offset; NULL where that is not inside. */
static const void *part(const struct image *image, uint64_t offset, uint64_t size, uint64_t count)
{
    if (count == 0 || size == 0 || count > image->size / size || offset % sizeof(uint32_t) != 0 ||
        offset > image->size - count * size) {
        return NULL;
    }
    return image->bytes + offset;
}

static void take_name(struct place *p, const struct image *image, const ElfW(Shdr) * strings,
                      const ElfW(Sym) * symbol)
{
    uint64_t at = strings->sh_offset + symbol->st_name;
    size_t left;

    if (symbol->st_name < strings->sh_size && at < image->size) {
        left = image->size - at;
        left = left < sizeof(p->name) ? left : sizeof(p->name);
        (void)snprintf(p->name, sizeof(p->name), "%.*s", (int)left, image->bytes + at);
        p->offset = p->address - symbol->st_value;
    }
}

static void search(struct place *p, const struct image *image, const ElfW(Shdr) * table,
                   const ElfW(Shdr) * strings)
{
    uint64_t count = table->sh_size / sizeof(ElfW(Sym));
    const ElfW(Sym) *symbols = part(image, table->sh_offset, sizeof(*symbols), count);

    for (uint64_t i = 0; symbols != NULL && i < count; i++) {
        const ElfW(Sym) *s = &symbols[i];

        /* a return address may stand behind the function's last instruction */
        if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && p->address - 1 >= s->st_value &&
            p->address - 1 - s->st_value < s->st_size) {
            take_name(p, image, strings, s);
            return;
        }
    }
}

static void find_in_file(struct place *p, const char *path)
{
    struct image image = { NULL, 0 };
    const ElfW(Ehdr) * head;
    const ElfW(Shdr) * sections;

    if (image_open(&image, path)) {
        head = (const ElfW(Ehdr) *)(const void *)image.bytes;
        sections = head->e_shentsize == sizeof(*sections)
                       ? part(&image, head->e_shoff, sizeof(*sections), head->e_shnum)
                       : NULL;
        for (int i = 0; sections != NULL && i < head->e_shnum && p->name[0] == '\0'; i++) {
            if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < head->e_shnum) {
                search(p, &image, &sections[i], &sections[sections[i].sh_link]);
            }
        }
    }
    image_close(&image);
}

/* ---- Frames ------------------------------------------------------------- */

static bool find(struct place *p, void *frame)
{
    struct link_map *object = NULL;
    Dl_info info;

    memset(p, 0, sizeof(*p));
    if (dladdr1(frame, &info, (void **)&object, RTLD_DL_LINKMAP) == 0 || object == NULL) {
        return false;
    }
    p->base = info.dli_fbase;
    p->file = info.dli_fname;
    p->address = (uintptr_t)frame - object->l_addr;
    find_in_file(p, object->l_name[0] != '\0' ? object->l_name : "/proc/self/exe");
    if (p->name[0] == '\0' && info.dli_sname != NULL) {
        (void)snprintf(p->name, sizeof(p->name), "%s", info.dli_sname);
        p->offset = (uintptr_t)frame - (uintptr_t)info.dli_saddr;
    }
    return true;
}

/* NULL where it is not a module's object, but the server's or a library's. */
static const char *module_at(const struct http_app *app, const char *base)
{
    Dl_info info;

    if (dladdr((const void *)(uintptr_t)&stack_text, &info) != 0 && info.dli_fbase == base) {
        return NULL;
    }
    for (int i = 0; i < app->module_count; i++) {
        if (dladdr(app->modules[i], &info) != 0 && info.dli_fbase == base) {
            return app->modules[i]->name;
        }
    }
    return NULL;
}

static int frame_text(const struct http_app *app, void *frame, char *out, size_t size)
{
    const char *module, *file;
    struct place p;
    char where[NAME_MAX_BYTES + 24] = "";

    if (!find(&p, frame)) {
        return snprintf(out, size, "%p", frame);
    }
    file = strrchr(p.file, '/') != NULL ? strrchr(p.file, '/') + 1 : p.file;
    module = module_at(app, p.base);
    if (p.name[0] != '\0') {
        (void)snprintf(where, sizeof(where), "%s+0x%" PRIxPTR " ", p.name, p.offset);
    }
    return snprintf(out, size, "%s(%s%s%s+0x%" PRIxPTR ")", where, module != NULL ? module : "",
                    module != NULL ? ", " : "", file, p.address);
}

void stack_text(const struct http_app *app, void *const *frames, int count, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (int i = 0; i < count; i++) {
        char text[2 * NAME_MAX_BYTES + 200];
        int len = frame_text(app, frames[i], text, sizeof(text));

        if (len < 0 || used + (size_t)len + sizeof(" < ") >= size || (size_t)len >= sizeof(text)) {
            return;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? " < " : "", text);
    }
}
