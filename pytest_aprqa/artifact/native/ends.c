/* The ends of unsigned integers, in one pass where numpy takes four.

   out: the largest and the least; then those of the same bits read with a sign. n is not 0. */

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("default", "avx2")))
#else
#define FOR_EVERY_PROCESSOR
#endif

#define ENDS(WIDTH)                                                                       \
    FOR_EVERY_PROCESSOR                                                                   \
    void ends##WIDTH(const uint##WIDTH##_t *bits, size_t n, uint##WIDTH##_t out[4])       \
    {                                                                                     \
        uint##WIDTH##_t largest = 0, least = UINT##WIDTH##_MAX;                           \
        int##WIDTH##_t signed_largest = INT##WIDTH##_MIN, signed_least = INT##WIDTH##_MAX; \
        for (size_t i = 0; i < n; i++) {                                                  \
            const uint##WIDTH##_t value = bits[i];                                        \
            const int##WIDTH##_t signed_value = (int##WIDTH##_t)value;                    \
            largest = value > largest ? value : largest;                                  \
            least = value < least ? value : least;                                        \
            signed_largest = signed_value > signed_largest ? signed_value : signed_largest; \
            signed_least = signed_value < signed_least ? signed_value : signed_least;     \
        }                                                                                 \
        out[0] = largest;                                                                 \
        out[1] = least;                                                                   \
        out[2] = (uint##WIDTH##_t)signed_largest;                                         \
        out[3] = (uint##WIDTH##_t)signed_least;                                           \
    }

ENDS(8)
ENDS(16)
ENDS(32)
ENDS(64)
