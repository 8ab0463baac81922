// How a test of the architecture ends, prints and interrupts on ekernel; it ends by tohost, as on Spike.
#ifndef EKERNEL_RVMODEL_MACROS_H
#define EKERNEL_RVMODEL_MACROS_H

#define STANDARD_SM_SUPPORTED

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

// The UART at 0x10000000 takes each byte at once. TEXT is a register that holds the address of the text, and is changed.
#define RVMODEL_IO_INIT(R1, R2, R3)
#define RVMODEL_IO_WRITE_STR(R1, R2, R3, TEXT)                  \
    li R2, 0x10000000;                                          \
996: lbu R3, 0(TEXT);                                           \
    beqz R3, 997f;                                              \
    sb R3, 0(R2);                                               \
    addi TEXT, TEXT, 1;                                         \
    j 996b;                                                     \
997:

#define RVMODEL_ACCESS_FAULT_ADDRESS 0

// The CLINT: a tick of mtime is ten instructions.
#define RVMODEL_MTIME_ADDRESS 0x0200bff8
#define RVMODEL_MTIMECMP_ADDRESS 0x02004000
#define RVMODEL_MSIP_ADDRESS 0x02000000
#define RVMODEL_INTERRUPT_LATENCY 10
#define RVMODEL_TIMER_INT_SOON_DELAY 100
#define RVMODEL_MAX_CYCLES_PER_TIMER_TICK 10

#define RVMODEL_SET_MSW_INT(R1, R2)                             \
    li R1, 1;                                                   \
    li R2, RVMODEL_MSIP_ADDRESS;                                \
    sw R1, 0(R2)
#define RVMODEL_CLR_MSW_INT(R1, R2)                             \
    li R2, RVMODEL_MSIP_ADDRESS;                                \
    sw zero, 0(R2)
// Software of S mode is interrupted by its own sip.
#define RVMODEL_SET_SSW_INT(R1, R2)
#define RVMODEL_CLR_SSW_INT(R1, R2)

// Interrupts from outside: the UART's, which can send whenever that is asked, by the PLIC's contexts 0 (M) and 1 (S).
#define RVMODEL_PLIC 0x0c000000
#define RVMODEL_UART_SOURCE 10
#define RVMODEL_SET_EXTERNAL(R1, R2, CONTEXT)                   \
    li R2, RVMODEL_PLIC;                                        \
    li R1, 7;                                                   \
    sw R1, 4 * RVMODEL_UART_SOURCE(R2);                         \
    li R2, RVMODEL_PLIC + 0x2000 + 0x80 * CONTEXT;              \
    li R1, 1 << RVMODEL_UART_SOURCE;                            \
    sw R1, 0(R2);                                               \
    li R2, RVMODEL_PLIC + 0x200000 + 0x1000 * CONTEXT;          \
    sw zero, 0(R2);                                             \
    li R2, 0x10000000;                                          \
    li R1, 2;                                                   \
    sb R1, 1(R2)
#define RVMODEL_CLR_EXTERNAL(R1, R2, CONTEXT)                   \
    li R2, 0x10000000;                                          \
    sb zero, 1(R2);                                             \
    li R2, RVMODEL_PLIC + 0x200004 + 0x1000 * CONTEXT;          \
    lw R1, 0(R2);                                               \
    sw R1, 0(R2);                                               \
    li R2, RVMODEL_PLIC + 0x2000 + 0x80 * CONTEXT;              \
    sw zero, 0(R2)
#define RVMODEL_SET_MEXT_INT(R1, R2) RVMODEL_SET_EXTERNAL(R1, R2, 0)
#define RVMODEL_CLR_MEXT_INT(R1, R2) RVMODEL_CLR_EXTERNAL(R1, R2, 0)
#define RVMODEL_SET_SEXT_INT(R1, R2) RVMODEL_SET_EXTERNAL(R1, R2, 1)
#define RVMODEL_CLR_SEXT_INT(R1, R2) RVMODEL_CLR_EXTERNAL(R1, R2, 1)

#endif
