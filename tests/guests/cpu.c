// SPDX-License-Identifier: Apache-2.0
/*
 * What every processor says of itself, by CPUID and RDMSR.
 *
 *   cpus=N threads=T    the topology is one package of N processors, T to a core (Intel SDM volume
 *                       2A, CPUID leaves 1, 4, 0xb; AMD64 APM volume 3, 0x8000001d, 0x8000001e)
 *   features            ... and HTT says whether there are several
 *   cpuid0=LEAF:SUBLEAF:REGISTER:MASK:VALUE, cpuid1=... cpuid7=
 *                       REGISTER 0 to 3 (EAX to EDX), under MASK, is VALUE; all in hexadecimal
 *   msr0=INDEX:MASK:VALUE ... msr7=
 */
#include "lib/guest.h"

#define TRAMPOLINE  0x8000u
#define ICR_INIT    0x4500u
#define ICR_STARTUP 0x4600u
#define WISHES      8u
#define CPUS_MAX    (APS_MAX + 1)

struct cpuid {
    uint32_t reg[4]; /* EAX, EBX, ECX, EDX */
};

struct wish {
    uint64_t part[5]; /* of the option, in its order */
};

/* What one processor sees. */
struct view {
    uint32_t apic_id;
    struct cpuid features, thread_level, core_level;
    struct cpuid cache_l1; /* leaf 4 or 0x8000001d, subleaf 0 */
    struct cpuid cache_l3;
    struct cpuid amd_topology;
    uint64_t cpuids[WISHES], msrs[WISHES];
};

static struct wish cpuid_wishes[WISHES], msr_wishes[WISHES];
static unsigned cpuid_wish_count, msr_wish_count;
static struct view views[CPUS_MAX];
static volatile uint32_t done;

void ap_main(uint32_t number);

static struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid out;

    __asm__ volatile("cpuid"
                     : "=a"(out.reg[0]), "=b"(out.reg[1]), "=c"(out.reg[2]), "=d"(out.reg[3])
                     : "a"(leaf), "c"(subleaf));
    return out;
}

static uint64_t rdmsr(uint32_t index)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

static bool is_amd(void)
{
    return cpuid(0, 0).reg[1] == 0x68747541; /* "Auth" */
}

static void look(struct view *view)
{
    uint32_t caches = is_amd() ? 0x8000001d : 4;

    view->apic_id = apic_id();
    view->features = cpuid(1, 0);
    view->thread_level = cpuid(0xb, 0);
    view->core_level = cpuid(0xb, 1);
    view->cache_l1 = cpuid(caches, 0);
    view->cache_l3 = cpuid(caches, 3);
    view->amd_topology = cpuid(0x8000001e, 0);
    for (unsigned i = 0; i < cpuid_wish_count; i++) {
        const uint64_t *part = cpuid_wishes[i].part;

        view->cpuids[i] = cpuid((uint32_t)part[0], (uint32_t)part[1]).reg[part[2] & 3];
    }
    for (unsigned i = 0; i < msr_wish_count; i++)
        view->msrs[i] = rdmsr((uint32_t)msr_wishes[i].part[0]);
}

void ap_main(uint32_t number)
{
    interrupts_init_ap();
    look(&views[number + 1]);
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
    for (;;)
        __asm__ volatile("sti; hlt");
}

/* ---- the command line ---- */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NAME0= to NAME7=, each of `parts` numbers. Returns how many there are. */
static unsigned read_wishes(const char *name, unsigned parts, struct wish *wishes)
{
    unsigned count = 0;

    for (; count < WISHES; count++) {
        char numbered[16];
        const char *text;
        size_t len = 0;

        for (; name[len]; len++)
            numbered[len] = name[len];
        numbered[len] = (char)('0' + count);
        numbered[len + 1] = '\0';
        text = option(numbered);
        if (!text)
            break;
        for (unsigned i = 0; i < parts; i++) {
            uint64_t value = 0;

            for (; digit(*text) >= 0; text++)
                value = value << 4 | (unsigned)digit(*text);
            wishes[count].part[i] = value;
            if (*text == ':')
                text++;
        }
        if (*text)
            give_up(numbered, "cannot read it at '%s'", text);
    }
    return count;
}

/* ---- checks ---- */

static uint32_t bits_for(uint32_t count)
{
    uint32_t bits = 0;

    while (1u << bits < count)
        bits++;
    return bits;
}

static void check_topology(const struct view *view, unsigned number, unsigned cpus,
                           unsigned threads)
{
    uint32_t id = view->features.reg[1] >> 24;
    uint32_t thread_bits = view->thread_level.reg[0] & 0x1f;
    uint32_t package_bits = view->core_level.reg[0] & 0x1f;

    check(view->apic_id == number && id == number, "APIC id", "processor %u: %u, CPUID says %u",
          number, view->apic_id, id);
    check(view->thread_level.reg[3] == number && view->core_level.reg[3] == number, "x2APIC id",
          "processor %u: %u and %u", number, view->thread_level.reg[3], view->core_level.reg[3]);
    check(view->thread_level.reg[1] == threads && view->thread_level.reg[2] == 0x100 &&
              thread_bits == bits_for(threads),
          "threads of a core", "%u, %u bits", view->thread_level.reg[1], thread_bits);
    check(view->core_level.reg[1] == cpus && view->core_level.reg[2] == 0x201 &&
              package_bits == bits_for(cpus),
          "processors of the package", "%u, %u bits", view->core_level.reg[1], package_bits);
    if (option("features"))
        check((view->features.reg[3] >> 28 & 1) == (cpus > 1), "HTT", "features 0x%x",
              view->features.reg[3]);
    if (view->cache_l1.reg[0] & 0x1f) /* some hosts have no leaf for caches */
        check((view->cache_l1.reg[0] >> 14 & 0xfff) == threads - 1, "a core's own cache",
              "shared by %u", (view->cache_l1.reg[0] >> 14 & 0xfff) + 1);
    if (view->cache_l3.reg[0] & 0x1f)
        check((view->cache_l3.reg[0] >> 14 & 0xfff) == (1u << bits_for(cpus)) - 1,
              "the package's cache", "shared by %u", (view->cache_l3.reg[0] >> 14 & 0xfff) + 1);
    if (is_amd() && (cpuid(0x80000001, 0).reg[2] & 1u << 22))
        check(view->amd_topology.reg[0] == number &&
                  view->amd_topology.reg[1] == ((threads - 1) << 8 | number / threads),
              "AMD's core id", "processor %u: 0x%x, 0x%x", number, view->amd_topology.reg[0],
              view->amd_topology.reg[1]);
}

static void check_wishes(const struct view *view, unsigned number)
{
    for (unsigned i = 0; i < cpuid_wish_count; i++) {
        const uint64_t *part = cpuid_wishes[i].part;

        check((view->cpuids[i] & part[3]) == part[4], "CPUID",
              "processor %u: leaf 0x%X.%U: 0x%X, wanted 0x%X", number, part[0], part[1],
              view->cpuids[i], part[4]);
    }
    for (unsigned i = 0; i < msr_wish_count; i++) {
        const uint64_t *part = msr_wishes[i].part;

        check((view->msrs[i] & part[1]) == part[2], "MSR", "processor %u: 0x%X: 0x%X, wanted 0x%X",
              number, part[0], view->msrs[i], part[2]);
    }
}

static bool all_done(void *arg)
{
    return done == *(unsigned *)arg - 1;
}

void guest_main(void)
{
    unsigned cpus = option_number("cpus", 1);
    unsigned threads = option_number("threads", 0);

    cpuid_wish_count = read_wishes("cpuid", 5, cpuid_wishes);
    msr_wish_count = read_wishes("msr", 3, msr_wishes);
    interrupts_init();
    look(&views[0]);
    memcpy((void *)TRAMPOLINE, ap_start, (size_t)(ap_start_end - ap_start));
    /* One after the other, so that their numbers are in the order of their ids. */
    for (unsigned i = 1; i < cpus && i < CPUS_MAX; i++) {
        unsigned so_far = i + 1;

        apic_send(i, ICR_INIT);
        sleep_ms(20);
        apic_send(i, ICR_STARTUP | TRAMPOLINE >> 12);
        if (!wait_until(all_done, &so_far, 20000))
            give_up("start", "processor %u does not", i);
    }
    for (unsigned i = 0; i < cpus; i++) {
        if (threads)
            check_topology(&views[i], i, cpus, threads);
        check_wishes(&views[i], i);
    }
}
