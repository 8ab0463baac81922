# Processes: making and unmaking them.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "boot/stack.inc"
.include "mm/paging/area.inc"
.include "process/process.inc"

.equ POINTER_ALIGN, 8
.equ KERNEL_STACK_PAGES, STACK_SIZE >> PAGE_SHIFT

VARIABLE process_list                           # the first process, 0: none
VARIABLE current_process                        # whose turn it is, 0: the kernel's own

.text

# process_init(): maps the trampoline into the kernel's space. Panics when memory runs out.
FUNCTION process_init
    ENTER
    la t0, kernel_space
    ld a0, 0(t0)
    call map_trampoline
    bnez a0, .Lno_trampoline
    sfence.vma                                  # the page is global: for every space, also those that come
    LEAVE
.Lno_trampoline:
    la a0, message_no_frame
    call panic
END_FUNCTION process_init

# map_trampoline(a0 = space) -> a0 = 0, -1 when there is no frame for a table
FUNCTION map_trampoline
    ld a0, SPACE_ROOT(a0)
    li a1, TRAMPOLINE >> PAGE_SHIFT
    la t0, strampoline
    VA_TO_PPN a2, t0, t1
    li a3, PTE_R | PTE_X | PTE_G | PTE_A | PTE_D    # global: the same in every space
    j map_page
END_FUNCTION map_trampoline

# map_trap_pages(a0 = space, a1 = ppn of the trap context) -> a0 = 0, -1 when there is no frame for a table
FUNCTION map_trap_pages
    ENTER 2
    mv s1, a0                                   # s1: space
    mv s2, a1                                   # s2: ppn of the trap context
    call map_trampoline
    bnez a0, .Ltrap_pages_done
    ld a0, SPACE_ROOT(s1)
    li a1, TRAP_CONTEXT >> PAGE_SHIFT
    mv a2, s2
    li a3, PTE_R | PTE_W | PTE_A | PTE_D
    call map_page
.Ltrap_pages_done:
    LEAVE 2
END_FUNCTION map_trap_pages

# process_new(a0 = parent or 0) -> a0 = a process without address space, 0 when there is no memory or no pid for it
# It has a kernel stack, an empty trap context, and starts at process_begin when it is switched to.
FUNCTION process_new
    ENTER 4
    mv s4, a0                                   # s4: parent
    call make_room
    call free_pid
    beqz a0, .Lno_process
    mv s2, a0                                   # s2: pid
    li a0, PROCESS_SIZE
    li a1, POINTER_ALIGN
    call heap_alloc
    beqz a0, .Lno_process
    mv s1, a0                                   # s1: the process
    li t0, PROCESS_SIZE
    add a1, a0, t0
    call fill_zero
    sd s2, PROCESS_PID(s1)
    sd s4, PROCESS_PARENT(s1)
    call frame_alloc
    beqz a0, .Lno_context
    sd a0, PROCESS_CONTEXT_PPN(s1)
    mv s3, a0                                   # s3: its trap context
    call zero_frame

    mv a0, s2
    call kernel_stack_top
    mv s4, a0                                   # s4: top of its kernel stack
    srli a2, a0, PAGE_SHIFT
    addi a1, a2, -KERNEL_STACK_PAGES
    la t0, kernel_space
    ld a0, 0(t0)
    li a3, PTE_R | PTE_W
    li a4, AREA_FRAMED
    call area_add
    beqz a0, .Lno_stack
    PPN_TO_VA t0, s3, t1
    sd s4, CONTEXT_KERNEL_SP(t0)
    csrr t1, satp
    sd t1, CONTEXT_KERNEL_SATP(t0)
    la t0, process_begin
    sd t0, PROCESS_SWITCH(s1)
    sd s4, PROCESS_SWITCH + 8(s1)

    # At the end of the list, which stays in the order of creation.
    la t0, process_list
.Llast_process:
    ld t1, 0(t0)
    beqz t1, .Lappend
    addi t0, t1, PROCESS_NEXT
    j .Llast_process
.Lappend:
    sd s1, 0(t0)
    mv a0, s1
    LEAVE 4
.Lno_stack:
    mv a0, s3
    call frame_dealloc
.Lno_context:
    mv a0, s1
    li a1, PROCESS_SIZE
    li a2, POINTER_ALIGN
    call heap_dealloc
.Lno_process:
    li a0, 0
    LEAVE 4
END_FUNCTION process_new

# process_free(a0 = process): all that it still has. It must not be the current one: its stack goes.
FUNCTION process_free
    ENTER 2
    mv s1, a0                                   # s1: the process
    la t0, process_list                         # t0: where the pointer to it stands
.Lfind_process:
    ld t1, 0(t0)
    beq t1, s1, .Lunlink
    addi t0, t1, PROCESS_NEXT
    j .Lfind_process
.Lunlink:
    ld t1, PROCESS_NEXT(s1)
    sd t1, 0(t0)
    ld a0, PROCESS_SPACE(s1)
    beqz a0, .Lspace_freed
    call space_free
.Lspace_freed:
    ld a0, PROCESS_PID(s1)
    call kernel_stack_top
    srli a1, a0, PAGE_SHIFT
    addi a1, a1, -1
    la t0, kernel_space
    ld s2, 0(t0)                                # s2: the kernel's space
    mv a0, s2
    call area_find
    mv a1, a0
    mv a0, s2
    call area_remove
    ld a0, PROCESS_CONTEXT_PPN(s1)
    call frame_dealloc
    mv a0, s1
    li a1, PROCESS_SIZE
    li a2, POINTER_ALIGN
    call heap_dealloc
    LEAVE 2
END_FUNCTION process_free

# free_pid() -> a0 = the lowest pid from 1 on that no process has, 0 when all are taken
LOCAL_FUNCTION free_pid
    li a0, 1
.Ltry_pid:
    la t0, process_list
    ld t0, 0(t0)
.Ltaken_by:
    beqz t0, .Lpid_found
    ld t1, PROCESS_PID(t0)
    ld t0, PROCESS_NEXT(t0)
    bne t1, a0, .Ltaken_by
    addi a0, a0, 1
    li t1, MOST_PROCESSES
    bleu a0, t1, .Ltry_pid
    li a0, 0
.Lpid_found:
    ret
END_FUNCTION free_pid

# kernel_stack_top(a0 = pid) -> a0 = va
LOCAL_FUNCTION kernel_stack_top
    addi a0, a0, -1
    slli a0, a0, KERNEL_STACK_SLOT_SHIFT
    li t0, KERNEL_STACKS
    sub a0, t0, a0
    ret
END_FUNCTION kernel_stack_top

STRING message_no_frame, "no available frame to allocate"
