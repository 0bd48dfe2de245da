/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 by OpenSSL's EVP, and the only file of the builder that knows so: the
 * master, which plans builds, must not see OpenSSL's headers.
 */
#include "builder/fingerprint.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "util/check.h"

struct fp_sum {
    EVP_MD *sha256;
    EVP_MD_CTX *context;
};

static apr_status_t sum_free(void *data)
{
    struct fp_sum *sum = data;

    EVP_MD_CTX_free(sum->context);
    EVP_MD_free(sum->sha256);
    return APR_SUCCESS;
}

struct fp_sum *fp_sum_create(apr_pool_t *pool)
{
    struct fp_sum *sum = apr_pcalloc(pool, sizeof(*sum));

    /* Fetched once: a lookup for each sum costs more than a small sum. */
    sum->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    sum->context = EVP_MD_CTX_new();
    apr_pool_cleanup_register(pool, sum, sum_free, apr_pool_cleanup_null);
    return sum->sha256 && sum->context ? sum : NULL;
}

void fp_start(struct fp_sum *sum)
{
    INS_CHECK(EVP_DigestInit_ex2(sum->context, sum->sha256, NULL) == 1);
}

void fp_add(struct fp_sum *sum, const void *data, size_t len)
{
    INS_CHECK(EVP_DigestUpdate(sum->context, data, len) == 1);
}

void fp_add_text(struct fp_sum *sum, const char *text)
{
    if (text) {
        fp_add(sum, text, strlen(text) + 1);
    }
    else {
        fp_add(sum, "\377", 2);
    }
}

void fp_add_number(struct fp_sum *sum, int64_t number)
{
    fp_add(sum, &number, sizeof(number));
}

void fp_end(struct fp_sum *sum, struct fp *out)
{
    unsigned int len = FP_SIZE;

    INS_CHECK(EVP_DigestFinal_ex(sum->context, out->bytes, &len) == 1);
}

int fp_of_fd(struct fp_sum *sum, int fd, int64_t max, struct fp *out)
{
    char buf[64 * 1024];
    int64_t total = 0;
    ssize_t n;

    fp_start(sum);
    for (;;) {
        n = read(fd, buf, sizeof(buf));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        total += n;
        if (total > max) {
            return EFBIG;
        }
        fp_add(sum, buf, (size_t)n);
    }
    if (n < 0) {
        return errno;
    }
    fp_end(sum, out);
    return 0;
}

bool fp_equal(const struct fp *a, const struct fp *b)
{
    return memcmp(a->bytes, b->bytes, FP_SIZE) == 0;
}

void fp_to_hex(const struct fp *fp, char hex[FP_HEX])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < FP_SIZE; i++) {
        hex[2 * i] = digits[fp->bytes[i] >> 4];
        hex[2 * i + 1] = digits[fp->bytes[i] & 15];
    }
    hex[FP_HEX - 1] = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool fp_from_hex(const char *hex, struct fp *out)
{
    for (int i = 0; i < FP_SIZE; i++) {
        int high = nibble(hex[2 * i]);
        int low = high < 0 ? -1 : nibble(hex[2 * i + 1]);

        if (low < 0) {
            return false;
        }
        out->bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}
