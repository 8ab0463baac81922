# Jumps and branches by their format, to near, far and unknown targets, and instructions of other lengths.
    .option rvc
start:
    .insn cj C1, 5, start
    .insn cb C1, 6, a0, start
    .insn cb C1, 7, s1, elsewhere
    .insn cj C1, 5, elsewhere
    .insn j CUSTOM_0, a0, elsewhere
    .insn uj CUSTOM_1, x0, start
    .insn sb CUSTOM_2, 1, a0, a1, elsewhere
    c.beqz a2, elsewhere
    jalr t0, 12
    jalr t1, -4
    .insn i 0x1f, 0, a0, a1, 3
    .insn r 0x3f, 1, 2, a0, a1, a2
    .insn i 0x7f, 3, a0, a1, 0
    .insn 6, 0x1f
    .insn 0x307f
    .type chooser, @gnu_indirect_function
chooser:
    ret
    .set chosen, chooser
