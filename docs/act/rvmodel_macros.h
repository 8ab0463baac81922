// How a test of the architecture ends, prints and interrupts on ekernel, and on Spike: by tohost.
#ifndef EKERNEL_RVMODEL_MACROS_H
#define EKERNEL_RVMODEL_MACROS_H

#define RVMODEL_DATA_SECTION                                    \
    .pushsection .tohost, "aw", @progbits;                      \
    .balign 64; .globl tohost; tohost: .dword 0;                \
    .balign 64; .globl fromhost; fromhost: .dword 0;            \
    .popsection

#define RVMODEL_BOOT

#define RVMODEL_END(word)                                       \
    fence;                                                      \
    li t1, word;                                                \
    la t0, tohost;                                              \
    sd t1, 0(t0);                                               \
998: wfi;                                                       \
    j 998b
#define RVMODEL_HALT_PASS RVMODEL_END(1)
#define RVMODEL_HALT_FAIL RVMODEL_END(3)
#define RVMODEL_HALT RVMODEL_HALT_PASS

// The older framework's: what is between these is the signature.
#define RVMODEL_DATA_BEGIN RVMODEL_DATA_SECTION; .balign 16; .globl begin_signature; begin_signature:
#define RVMODEL_DATA_END .balign 16; .globl end_signature; end_signature:

// The UART at 0x10000000 takes each byte at once.
#define RVMODEL_IO_INIT(R1, R2, R3)
#define RVMODEL_IO_WRITE_STR(R1, R2, R3, TEXT)                  \
    la R1, TEXT;                                                \
    li R2, 0x10000000;                                          \
996: lbu R3, 0(R1);                                             \
    beqz R3, 997f;                                              \
    sb R3, 0(R2);                                               \
    addi R1, R1, 1;                                             \
    j 996b;                                                     \
997:

#define RVMODEL_ACCESS_FAULT_ADDRESS 0
#define RVMODEL_MTIME_ADDRESS 0x0200bff8
#define RVMODEL_MTIMECMP_ADDRESS 0x02004000
#define RVMODEL_MSIP_ADDRESS 0x02000000

#endif
