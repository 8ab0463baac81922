"""Privileged instructions (privileged manual, chapter "RISC-V Privileged Instruction Set Listings")."""

TRAP_RETURN = """
uret                        | 0000000         00010 00000 000   00000 1110011
sret                        | 0001000         00010 00000 000   00000 1110011
hret                        | 0010000         00010 00000 000   00000 1110011
mret                        | 0011000         00010 00000 000   00000 1110011
dret                        | 0111101         10010 00000 000   00000 1110011
"""
"""Table "Trap-Return Instructions"; `uret` and `hret` are of older versions, `dret` of the debug specification."""

INTERRUPT_MANAGEMENT = """
wfi                         | 0001000         00101 00000 000   00000 1110011
"""

SUPERVISOR_MEMORY_MANAGEMENT = """
sfence.vma                  | 0001001         00000 00000 000   00000 1110011
sfence.vma rs1              | 0001001         00000   rs1 000   00000 1110011
sfence.vma rs1, rs2         | 0001001           rs2   rs1 000   00000 1110011
sfence.vm                   | 0001000         00100 00000 000   00000 1110011
sfence.vm rs1               | 0001000         00100   rs1 000   00000 1110011
"""
"""Table "Supervisor Memory-Management Instructions"; `sfence.vm` is of version 1.9."""

SVINVAL = """
sinval.vma rs1, rs2         | 0001011           rs2   rs1 000   00000 1110011
sfence.w.inval              | 0001100         00000 00000 000   00000 1110011
sfence.inval.ir             | 0001100         00001 00000 000   00000 1110011
hinval.vvma rs1, rs2        | 0010011           rs2   rs1 000   00000 1110011
hinval.gvma rs1, rs2        | 0110011           rs2   rs1 000   00000 1110011
"""
"""Table "Svinval Memory-Management Extension"."""

HYPERVISOR = """
hfence.vvma                 | 0010001         00000 00000 000   00000 1110011
hfence.vvma rs1             | 0010001         00000   rs1 000   00000 1110011
hfence.vvma rs1, rs2        | 0010001           rs2   rs1 000   00000 1110011
hfence.gvma                 | 0110001         00000 00000 000   00000 1110011
hfence.gvma rs1             | 0110001         00000   rs1 000   00000 1110011
hfence.gvma rs1, rs2        | 0110001           rs2   rs1 000   00000 1110011
hlv.b   rd, (rs1)           | 0110000         00000   rs1 100      rd 1110011
hlv.bu  rd, (rs1)           | 0110000         00001   rs1 100      rd 1110011
hlv.h   rd, (rs1)           | 0110010         00000   rs1 100      rd 1110011
hlv.hu  rd, (rs1)           | 0110010         00001   rs1 100      rd 1110011
hlvx.hu rd, (rs1)           | 0110010         00011   rs1 100      rd 1110011
hlv.w   rd, (rs1)           | 0110100         00000   rs1 100      rd 1110011
hlvx.wu rd, (rs1)           | 0110100         00011   rs1 100      rd 1110011
hsv.b   rs2, (rs1)          | 0110001           rs2   rs1 100   00000 1110011
hsv.h   rs2, (rs1)          | 0110011           rs2   rs1 100   00000 1110011
hsv.w   rs2, (rs1)          | 0110101           rs2   rs1 100   00000 1110011
hlv.wu  rd, (rs1)           | 0110100         00001   rs1 100      rd 1110011
hlv.d   rd, (rs1)           | 0110110         00000   rs1 100      rd 1110011
hsv.d   rs2, (rs1)          | 0110111           rs2   rs1 100   00000 1110011
"""
"""Tables "Hypervisor Memory-Management Instructions" and "Hypervisor Virtual-Machine Load and Store Instructions"."""

RECORDED = frozenset(("sret", "mret", "wfi", "sfence.vma", "sfence.vm"))
"""After these, as after any CSR that is written out, GNU names the privileged version in the attributes."""
