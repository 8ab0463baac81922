# Frame allocator: a segment tree (001), which hands out the lowest free frame, or the lowest free run that is enough.
#
# Node 1 stands for all frames. The node i that stands for frames l .. r has the children 2i for l .. m and 2i + 1 for
# m + 1 .. r, m = (l + r) / 2. Each knows three runs of free frames among its own: the longest, the one at its left
# edge, the one at its right edge. The longest run of a node is its left child's, its right child's, or the one that
# crosses the middle: the left child's right run and the right child's left run.
#
# Space: 16 bytes a node, and 4 bytes a frame for its owners. With n frames and p the next power of two, nodes have
# numbers below 2p: 36 to 68 bytes a frame. Time: O(log n) to allocate or find a run of any length; changing n frames is
# O(n + log memory) nodes. frame_init visits every node.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ ENTRY_SHIFT, 2
.equ ENTRY_OWNERS, 0

# A node: words, in frames. A number without a node has length 0.
.equ NODE_LENGTH, 0                             # how many frames it stands for
.equ NODE_MAX, 4                                # the longest free run
.equ NODE_LEFT, 8                               # the free run that begins at its first frame
.equ NODE_RIGHT, 12                             # the free run that ends at its last frame
.equ NODE_SHIFT, 4
.equ NODE_SIZE, 1 << NODE_SHIFT

VARIABLE segment_tree_nodes                     # address of node 0, which does not exist

.text

LOCAL_FUNCTION policy_bytes
    li t0, 1                                    # t0: the next power of two
.Ldouble_leaves:
    bgeu t0, a0, .Lleaves_known
    slli t0, t0, 1
    j .Ldouble_leaves
.Lleaves_known:
    slli a0, t0, NODE_SHIFT + 1
    ret
END_FUNCTION policy_bytes

# All frames are free, so each node's runs are as long as the node: lengths are halved from the root down.
LOCAL_FUNCTION policy_init
    la t0, segment_tree_nodes
    sd a0, 0(t0)
    addi t0, a0, NODE_SIZE                      # t0: a node
    sw a1, NODE_LENGTH(t0)
    sw a1, NODE_MAX(t0)
    sw a1, NODE_LEFT(t0)
    sw a1, NODE_RIGHT(t0)
    addi t1, a0, 2 * NODE_SIZE                  # t1: its children
    li t4, 1                                    # t4: the first number on the last level, then that node
.Ldouble_width:
    bgeu t4, a1, .Llast_level
    slli t4, t4, 1
    j .Ldouble_width
.Llast_level:
    slli t4, t4, NODE_SHIFT
    add t4, a0, t4
.Lset_children:
    beq t0, t4, .Ltree_done
    lwu t2, NODE_LENGTH(t0)
    srli t3, t2, 1                              # t3: length of the right child
    sub t2, t2, t3                              # t2: length of the left child, the longer one
    bnez t3, .Ltwo_children
    li t2, 0                                    # a single frame is not halved
.Ltwo_children:
    sw t2, NODE_LENGTH(t1)
    sw t2, NODE_MAX(t1)
    sw t2, NODE_LEFT(t1)
    sw t2, NODE_RIGHT(t1)
    sw t3, NODE_SIZE + NODE_LENGTH(t1)
    sw t3, NODE_SIZE + NODE_MAX(t1)
    sw t3, NODE_SIZE + NODE_LEFT(t1)
    sw t3, NODE_SIZE + NODE_RIGHT(t1)
    addi t0, t0, NODE_SIZE
    addi t1, t1, 2 * NODE_SIZE
    j .Lset_children
.Ltree_done:
    ret
END_FUNCTION policy_init

LOCAL_FUNCTION policy_take
    la t0, segment_tree_nodes
    ld t0, 0(t0)
    li t1, 1                                    # t1: number of the node
    addi t2, t0, NODE_SIZE                      # t2: the node
    li t3, 0                                    # t3: its first frame
    li t4, 1
    beq a0, t4, take_one
    lwu t4, NODE_MAX(t2)
    bltu t4, a0, .Lno_run_there
.Ldescend:
    slli t1, t1, 1
    slli t2, t1, NODE_SHIFT
    add t2, t0, t2                              # t2: the left child
    lwu t4, NODE_MAX(t2)
    bgeu t4, a0, .Ldescend
    lwu t4, NODE_LENGTH(t2)
    add t3, t3, t4                              # t3: first frame of the right child
    lwu t5, NODE_RIGHT(t2)                      # t5: free frames before the middle
    addi t2, t2, NODE_SIZE
    lwu t6, NODE_LEFT(t2)
    add t6, t5, t6                              # t6: the run that crosses it
    bgeu t6, a0, .Lcrosses_middle
    addi t1, t1, 1
    j .Ldescend
.Lcrosses_middle:
    sub t3, t3, t5                              # the run crosses the middle
    mv a1, a0
    mv a0, t3
    li a2, 0
    j set_frames
.Lno_run_there:
    li a0, -1
    ret
END_FUNCTION policy_take

# take_one: where policy_take branches to for one frame, which is surely there. The way down ends at the leaf to change.
# a0 = 1, t0 = node 0, t1 = number of a node, t2 = that node, t3 = its first frame
LOCAL_FUNCTION take_one
    lwu t4, NODE_LENGTH(t2)
    beq t4, a0, .Lfree_leaf
    slli t1, t1, 1
    slli t2, t1, NODE_SHIFT
    add t2, t0, t2                              # t2: the left child
    lwu t5, NODE_MAX(t2)
    bnez t5, take_one
    lwu t4, NODE_LENGTH(t2)
    add t3, t3, t4
    addi t1, t1, 1
    addi t2, t2, NODE_SIZE
    j take_one
.Lfree_leaf:
    li a2, 0
    mv a0, t3
    mv a3, t0                                   # as set_frames has them at its leaf
    mv a4, t3
    mv a5, t3
    mv a6, t1
    mv t1, t2
    j set_leaf
END_FUNCTION take_one

LOCAL_FUNCTION policy_give
    li a2, 1
    j set_frames
END_FUNCTION policy_give

# set_frames(a0 = number of the first, a1 = n, a2 = 1 when they become free, 0 when they do not stay so) -> a0 as it was
LOCAL_FUNCTION set_frames
    la a3, segment_tree_nodes
    ld a3, 0(a3)
    mv a4, a0                                   # a4: the frame
    add a5, a0, a1
    addi a5, a5, -1                             # a5: the last one

    # Down to the leaf of the frame.
.Lframe:
    li a6, 1                                    # a6: number of the node
    mv t0, a4                                   # t0: number of the frame, from the node's first on
.Lto_child:
    slli t1, a6, NODE_SHIFT
    add t1, a3, t1                              # t1: the node
    lwu t2, NODE_LENGTH(t1)
    li t3, 1
    beq t2, t3, .Lleaf
    slli a6, a6, 1
    srli t3, t2, 1                              # t3: length of the right child
    sub t2, t2, t3                              # t2: length of the left child
    bltu t0, t2, .Lto_child
    sub t0, t0, t2
    addi a6, a6, 1
    j .Lto_child
set_leaf:
.Lleaf:
    sw a2, NODE_MAX(t1)
    sw a2, NODE_LEFT(t1)
    sw a2, NODE_RIGHT(t1)

    # Up to the root: each parent anew from its children.
.Lparent:
    andi t0, a6, 1
    bnez t0, .Lto_parent
    bne a4, a5, .Lnext_frame                    # a later frame comes by the parent again: it lies under the right child
.Lto_parent:
    srli a6, a6, 1
    beqz a6, .Lnext_frame
    slli t0, a6, NODE_SHIFT
    add t0, a3, t0                              # t0: the parent
    slli t1, a6, NODE_SHIFT + 1
    add t1, a3, t1                              # t1: its left child; the right one is the next node
    lwu t2, NODE_LENGTH(t1)                     # t2, t3: length and left run of the left child
    lwu t3, NODE_LEFT(t1)
    lwu t4, NODE_SIZE + NODE_LEFT(t1)           # t4: left run of the right child
    bne t3, t2, .Lleft_known
    add t3, t3, t4                              # all of the left child is free: its run goes on
.Lleft_known:
    sw t3, NODE_LEFT(t0)
    lwu t2, NODE_SIZE + NODE_LENGTH(t1)         # t2, t3: length and right run of the right child
    lwu t3, NODE_SIZE + NODE_RIGHT(t1)
    lwu t5, NODE_RIGHT(t1)                      # t5: right run of the left child
    add t4, t4, t5                              # t4: the run that crosses the middle
    bne t3, t2, .Lright_known
    add t3, t3, t5
.Lright_known:
    sw t3, NODE_RIGHT(t0)
    lwu t2, NODE_MAX(t1)                        # t2, t3: the longest runs of both
    lwu t3, NODE_SIZE + NODE_MAX(t1)
    bgeu t4, t2, .Lnot_left
    mv t4, t2                                   # t4: the longest of the three, in the end
.Lnot_left:
    bgeu t4, t3, .Lmax_known
    mv t4, t3
.Lmax_known:
    sw t4, NODE_MAX(t0)
    j .Lparent
.Lnext_frame:
    addi a4, a4, 1
    bleu a4, a5, .Lframe
    ret
END_FUNCTION set_frames

STRING frame_allocator_name, "segment tree"
.include "mm/frames/allocator.inc"
