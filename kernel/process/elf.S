# Programs: finding one by name, and making an address space from its ELF image (System V gABI, chapters 4 and 5).
.include "lib/abi.inc"
.include "lib/page.inc"
.include "mm/paging/area.inc"
.include "process/process.inc"

# ELF header
.equ ELF_MAGIC, 0x464c457f                      # 0x7f "ELF"
.equ ELF_CLASS_AND_DATA, 4
.equ ELF_64_LITTLE, 0x0102                      # two bytes: ELFCLASS64, ELFDATA2LSB
.equ ELF_TYPE, 16
.equ ELF_TYPE_EXECUTABLE, 2
.equ ELF_MACHINE, 18
.equ ELF_MACHINE_RISCV, 243
.equ ELF_ENTRY, 24
.equ ELF_SEGMENTS, 32
.equ ELF_SEGMENT_SIZE, 54
.equ ELF_SEGMENT_COUNT, 56
.equ ELF_HEADER_SIZE, 64

# Program header
.equ SEGMENT_TYPE, 0
.equ SEGMENT_LOAD, 1
.equ SEGMENT_FLAGS, 4
.equ SEGMENT_X, 1
.equ SEGMENT_W, 2
.equ SEGMENT_OFFSET, 8
.equ SEGMENT_VA, 16
.equ SEGMENT_FILE_BYTES, 32
.equ SEGMENT_BYTES, 40
.equ SEGMENT_SIZE, 56

# An entry of the table of programs
.equ PROGRAM_NAME, 0
.equ PROGRAM_START, 8
.equ PROGRAM_END, 16
.equ PROGRAM_SIZE, 24

.text

# program_find(a0 = name) -> a0 = its entry in the table of programs, 0 when there is none
FUNCTION program_find
    la t0, programs                             # t0: the entry to look at
    la t1, programs_end
.Lcompare_program:
    beq t0, t1, .Lno_program
    ld t2, PROGRAM_NAME(t0)                     # t2, t3: the rest of both names
    mv t3, a0
.Lcompare_name:
    lbu t4, 0(t2)
    lbu t5, 0(t3)
    bne t4, t5, .Lnext_program
    addi t2, t2, 1
    addi t3, t3, 1
    bnez t4, .Lcompare_name
    mv a0, t0
    ret
.Lnext_program:
    addi t0, t0, PROGRAM_SIZE
    j .Lcompare_program
.Lno_program:
    li a0, 0
    ret
END_FUNCTION program_find

# program_load(a0 = process, a1 = name) -> a0 = 0, -1 when there is no such program, it is no ELF program for this
# machine, or memory runs out
# The process gets an address space with the program, a stack, and registers to start it with. Its old space, if it had
# one, is freed; on failure it keeps it.
FUNCTION program_load
    ENTER 5
    mv s1, a0                                   # s1: the process
    mv a0, a1
    call program_find
    beqz a0, .Lfail
    mv s2, a0                                   # s2: entry of the program
    ld a0, PROCESS_PID(s1)
    call space_new
    beqz a0, .Lfail
    mv s3, a0                                   # s3: its new space
    ld a1, PROCESS_CONTEXT_PPN(s1)
    call map_trap_pages
    bnez a0, .Lfail_space
    mv a0, s3
    ld a1, PROGRAM_START(s2)
    ld a2, PROGRAM_END(s2)
    sub a2, a2, a1
    call elf_map
    beqz a0, .Lfail_space
    mv s4, a0                                   # s4: its entry point
    sd a1, PROCESS_HEAP_START(s1)
    sd a1, PROCESS_BREAK(s1)
    sd zero, PROCESS_HEAP(s1)
    mv a0, s3
    li a2, USER_STACK_TOP >> PAGE_SHIFT
    addi a1, a2, -USER_STACK_PAGES
    li a3, PTE_R | PTE_W | PTE_U
    li a4, AREA_LAZY
    call area_add
    beqz a0, .Lfail_space
    mv a0, s3
    li a2, (USER_STACK_TOP >> PAGE_SHIFT) - USER_STACK_PAGES
    addi a1, a2, -1
    li a3, 0
    li a4, AREA_GUARD
    call area_add
    beqz a0, .Lfail_space

    ld t0, PROGRAM_NAME(s2)
    sd t0, PROCESS_NAME(s1)
    ld s5, PROCESS_SPACE(s1)                    # s5: its old space, 0: none
    sd s3, PROCESS_SPACE(s1)
    ld t0, PROCESS_CONTEXT_PPN(s1)
    PPN_TO_VA t0, t0, t1                        # t0: its trap context
    addi t1, t0, 8                              # x1 to x31 begin as zeros: nothing of another program shows
    addi t2, t0, 32 * 8
.Lclear_register:
    sd zero, 0(t1)
    addi t1, t1, 8
    bne t1, t2, .Lclear_register
    li t1, USER_STACK_TOP
    sd t1, CONTEXT_SP(t0)
    sd s4, CONTEXT_SEPC(t0)
    mv a0, s1
    call floats_clear
    beqz s5, .Lloaded
    mv a0, s5
    call space_free
.Lloaded:
    li a0, 0
    LEAVE 5
.Lfail_space:
    mv a0, s3
    call space_free
.Lfail:
    li a0, -1
    LEAVE 5
END_FUNCTION program_load

# elf_map(a0 = space, a1 = image, a2 = its bytes) -> a0 = entry point, a1 = first page boundary behind the program
# Adds a lazy area for each segment to load: pages get their contents at the first access. a0 = 0 when the image is no
# ELF program for this machine, a segment lies outside of image or program memory, or memory runs out.
FUNCTION elf_map
    ENTER 9
    mv s1, a0                                   # s1: space
    mv s2, a1                                   # s2: image
    mv s3, a2                                   # s3: its bytes
    li s6, 0                                    # s6: end of the program, a vpn
    li t0, ELF_HEADER_SIZE
    bltu s3, t0, .Lbad
    lwu t0, 0(s2)
    li t1, ELF_MAGIC
    bne t0, t1, .Lbad
    lhu t0, ELF_CLASS_AND_DATA(s2)
    li t1, ELF_64_LITTLE
    bne t0, t1, .Lbad
    lhu t0, ELF_TYPE(s2)
    li t1, ELF_TYPE_EXECUTABLE
    bne t0, t1, .Lbad
    lhu t0, ELF_MACHINE(s2)
    li t1, ELF_MACHINE_RISCV
    bne t0, t1, .Lbad
    lhu t0, ELF_SEGMENT_SIZE(s2)
    li t1, SEGMENT_SIZE
    bne t0, t1, .Lbad
    ld s4, ELF_SEGMENTS(s2)                     # s4: offset of the program headers
    bgtu s4, s3, .Lbad
    lhu s5, ELF_SEGMENT_COUNT(s2)               # s5: segments left
    mul t0, s5, t1
    sub t1, s3, s4
    bgtu t0, t1, .Lbad
    add s4, s2, s4                              # s4: the program header

.Lsegment:
    beqz s5, .Lmapped_all
    lwu t0, SEGMENT_TYPE(s4)
    li t1, SEGMENT_LOAD
    bne t0, t1, .Lnext_segment
    ld s8, SEGMENT_BYTES(s4)                    # s8: bytes of it in memory
    beqz s8, .Lnext_segment
    ld s9, SEGMENT_FILE_BYTES(s4)               # s9: bytes of it in the image
    bgtu s9, s8, .Lbad
    ld t0, SEGMENT_OFFSET(s4)
    bgtu t0, s3, .Lbad
    sub t1, s3, t0
    bgtu s9, t1, .Lbad
    add s7, s2, t0                              # s7: its contents in the image
    ld t0, SEGMENT_VA(s4)
    li t1, USER_END_VPN << PAGE_SHIFT
    bgeu t0, t1, .Lbad
    sub t1, t1, t0
    bgeu s8, t1, .Lbad
    add a2, t0, s8
    li t1, PAGE_SIZE - 1
    add a2, a2, t1
    srli a2, a2, PAGE_SHIFT                     # behind its last page
    srli a1, t0, PAGE_SHIFT
    bleu a2, s6, .Lend_known
    mv s6, a2
.Lend_known:
    lwu t0, SEGMENT_FLAGS(s4)
    li a3, PTE_R | PTE_U                        # what is written or executed can be read: W alone is reserved
    andi t1, t0, SEGMENT_W
    beqz t1, .Lnot_writable
    ori a3, a3, PTE_W
.Lnot_writable:
    andi t1, t0, SEGMENT_X
    beqz t1, .Lnot_executable
    ori a3, a3, PTE_X
.Lnot_executable:
    mv a0, s1
    li a4, AREA_LAZY
    call area_add
    beqz a0, .Lbad
    mv a1, s7
    ld a2, SEGMENT_VA(s4)
    mv a3, s9
    call area_set_source
.Lnext_segment:
    addi s4, s4, SEGMENT_SIZE
    addi s5, s5, -1
    j .Lsegment
.Lmapped_all:
    ld a0, ELF_ENTRY(s2)
    slli a1, s6, PAGE_SHIFT
    LEAVE 9
.Lbad:
    li a0, 0
    LEAVE 9
END_FUNCTION elf_map
