# The flattened device tree that firmware hands over: how much memory there is (Devicetree Specification 0.4, chapter 5).
.include "lib/abi.inc"

# Header, all fields big-endian words
.equ FDT_MAGIC, 0xd00dfeed
.equ FDT_STRUCTURE, 8
.equ FDT_STRINGS, 12
.equ FDT_STRINGS_SIZE, 32
.equ FDT_STRUCTURE_SIZE, 36

# Tokens of the structure block
.equ FDT_BEGIN_NODE, 1
.equ FDT_END_NODE, 2
.equ FDT_PROPERTY, 3
.equ FDT_NOP, 4

.equ MEMORY_DEPTH, 2                            # /memory@...: child of the root
.equ DEFAULT_ADDRESS_CELLS, 2                   # specification, 2.3.5
.equ DEFAULT_SIZE_CELLS, 1
.equ MOST_CELLS, 2                              # a number has 64 bits

.text

# device_tree_memory(a0 = address of the device tree) -> a0 = start of memory, a1 = its size in bytes
# The first range of the first /memory node. a1 = 0 when it is no device tree, names no memory, or is damaged.
FUNCTION device_tree_memory
    ENTER 10
    mv s1, a0                                   # s1: the device tree
    call load_be32
    li t0, FDT_MAGIC
    bne a0, t0, .Lnone
    addi a0, s1, FDT_STRUCTURE
    call load_be32
    add s2, s1, a0                              # s2: position in the structure block
    addi a0, s1, FDT_STRUCTURE_SIZE
    call load_be32
    add s3, s2, a0                              # s3: its end
    addi a0, s1, FDT_STRINGS
    call load_be32
    add s4, s1, a0                              # s4: the names of properties
    addi a0, s1, FDT_STRINGS_SIZE
    call load_be32
    mv s10, a0                                  # s10: their bytes
    li s5, 0                                    # s5: depth, 1 inside of the root
    li s6, 0                                    # s6: whether this is the memory node
    li s7, DEFAULT_ADDRESS_CELLS                # s7: words of an address
    li s8, DEFAULT_SIZE_CELLS                   # s8: words of a size

.Ltoken:
    bgeu s2, s3, .Lnone
    mv a0, s2
    call load_be32
    addi s2, s2, 4
    li t0, FDT_NOP
    beq a0, t0, .Ltoken
    li t0, FDT_PROPERTY
    beq a0, t0, .Lproperty
    li t0, FDT_BEGIN_NODE
    beq a0, t0, .Lbegin
    li t0, FDT_END_NODE
    bne a0, t0, .Lnone                          # the end, or nonsense
    addi s5, s5, -1
    li s6, 0
    j .Ltoken

.Lbegin:
    addi s5, s5, 1
    li s6, 0
    li t0, MEMORY_DEPTH
    bne s5, t0, .Lname
    mv a0, s2
    la a1, name_memory
    call starts_with
    beqz a0, .Lname
    lbu t0, 0(a1)                               # behind "memory": the unit address or nothing
    li t1, '@'
    beq t0, t1, .Lmemory_node
    bnez t0, .Lname
.Lmemory_node:
    li s6, 1
.Lname:
    bgeu s2, s3, .Lnone
    lbu t0, 0(s2)
    addi s2, s2, 1
    bnez t0, .Lname
    addi s2, s2, 3                              # tokens are aligned to 4 bytes
    andi s2, s2, -4
    j .Ltoken

.Lproperty:
    mv a0, s2
    call load_be32
    mv s9, a0                                   # s9: length of the value
    addi a0, s2, 4
    call load_be32
    bgeu a0, s10, .Lnone
    add s1, s4, a0                              # s1: the name (the header is not needed any more)
    addi s2, s2, 8                              # s2: the value
    add t0, s2, s9
    bgtu t0, s3, .Lnone
    beqz s6, .Lcells
    mv a0, s1
    la a1, name_reg
    call equals
    beqz a0, .Lskip
    li t0, MOST_CELLS
    bgtu s7, t0, .Lnone
    bgtu s8, t0, .Lnone
    add t0, s7, s8
    slli t0, t0, 2                              # t0: bytes of one range
    bltu s9, t0, .Lnone
    mv a0, s2
    mv a1, s7
    call load_cells
    mv s9, a0                                   # s9: start of memory
    slli t0, s7, 2
    add a0, s2, t0
    mv a1, s8
    call load_cells
    mv a1, a0
    mv a0, s9
    LEAVE 10
.Lcells:
    li t0, 1
    bne s5, t0, .Lskip                          # only the root's cells count for /memory
    mv a0, s1
    la a1, name_address_cells
    call equals
    beqz a0, .Lsize_cells
    mv a0, s2
    call load_be32
    mv s7, a0
    j .Lskip
.Lsize_cells:
    mv a0, s1
    la a1, name_size_cells
    call equals
    beqz a0, .Lskip
    mv a0, s2
    call load_be32
    mv s8, a0
.Lskip:
    add s2, s2, s9
    addi s2, s2, 3
    andi s2, s2, -4
    j .Ltoken

.Lnone:
    li a0, 0
    li a1, 0
    LEAVE 10
END_FUNCTION device_tree_memory

# load_be32(a0 = address, multiple of 4) -> a0 = the big-endian word there. Clobbers t0 t1 t2 only.
LOCAL_FUNCTION load_be32
    lwu t0, 0(a0)                               # t0: the word as it lies there
    srli a0, t0, 24                             # a0: the answer, byte by byte
    andi t1, t0, 0xff
    slli t1, t1, 24
    or a0, a0, t1
    srli t1, t0, 16
    andi t1, t1, 0xff
    slli t1, t1, 8
    or a0, a0, t1
    srli t1, t0, 8
    andi t1, t1, 0xff
    slli t1, t1, 16
    or a0, a0, t1
    ret
END_FUNCTION load_be32

# load_cells(a0 = address, a1 = how many words, 0 to 2) -> a0 = the number that they are
LOCAL_FUNCTION load_cells
    mv t3, ra                                   # load_be32 leaves t3 to t6 alone
    mv t4, a0                                   # t4: the next word
    li t5, 0                                    # t5: the number so far
.Lword:
    beqz a1, .Lloaded
    mv a0, t4
    call load_be32
    slli t5, t5, 32
    or t5, t5, a0
    addi t4, t4, 4
    addi a1, a1, -1
    j .Lword
.Lloaded:
    mv a0, t5
    jr t3
END_FUNCTION load_cells

# starts_with(a0 = string, a1 = prefix) -> a0 = 1 or 0, a1 = the rest of the string behind the prefix
LOCAL_FUNCTION starts_with
.Lcompare:
    lbu t1, 0(a1)
    beqz t1, .Lis_prefix
    lbu t0, 0(a0)
    bne t0, t1, .Ldiffers
    addi a0, a0, 1
    addi a1, a1, 1
    j .Lcompare
.Lis_prefix:
    mv a1, a0
    li a0, 1
    ret
.Ldiffers:
    li a0, 0
    ret
END_FUNCTION starts_with

# equals(a0 = string, a1 = string) -> a0 = 1 or 0
LOCAL_FUNCTION equals
    mv t3, ra                                   # t3: where to return to
    call starts_with
    beqz a0, .Lreturn
    lbu a0, 0(a1)                               # equal when the first one ends with the second
    seqz a0, a0
.Lreturn:
    jr t3
END_FUNCTION equals

STRING name_memory, "memory"
STRING name_reg, "reg"
STRING name_address_cells, "#address-cells"
STRING name_size_cells, "#size-cells"
