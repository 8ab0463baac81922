"""Constructs by the projects whose scripts have them: each function returns output sections and statements, or none."""

from __future__ import annotations

from tests.linker.link.composer import Composer


def code(script: Composer) -> list[str]:
    """Around `.text`."""
    parts = []
    if script.chance(0.12):  # riscv-rt: a section that only says where the code begins
        place = script.place(read_only=True)
        parts.append(f"PROVIDE(_stext = .); .text.dummy (NOLOAD) : {{ . = ABSOLUTE(_stext); }} {place}")
    if script.chance(0.15):  # Linux: code and data of the start, given back later
        page = script.pick(". = ALIGN(4K);", ". = ALIGN(64);", "")
        parts.append(f"{page} __init_begin = .;")
        parts.append(script.section(".init.text", "_sinittext = .; *(.init.text) _einittext = .;", read_only=True))
        parts.append(script.section(".exit.text", "*(.exit.text)", read_only=True))
        parts.append(script.section(".init.data", "*(.init.data) . = ALIGN(8);"))
        if script.chance(0.5):
            parts.append(script.section(".init.bss", "*(.init.bss)"))
        calls = "__initcall_start = .; KEEP(*(.initcall0.init)) KEEP(*(.initcall[1-9].init)) __initcall_end = .;"
        parts.append(script.section(".initcall", calls, read_only=True))
        parts.append(f"{page} __init_end = .;")
    if script.chance(0.15):  # xv6: one page that two address spaces share
        page = script.pick("0x1000", "256")
        check = f'ASSERT(. - _trampoline == {page}, "larger than one page");' if script.chance(0.7) else ""
        body = f". = ALIGN({page}); _trampoline = .; *(trampsec) . = ALIGN({page}); {check} PROVIDE(etext = .);"
        parts.append(script.section(".xv6", "*(.text.hot)", body, read_only=True))
    if script.chance(0.12):  # FreeRTOS and Tock: vectors at an alignment of the hardware
        vectors = "PROVIDE(__vector_start = .); KEEP(*(.isr_vector)) . = ALIGN(256); KEEP(*(.vectors.late))"
        parts.append(script.section(".isr", vectors, read_only=True))
    return parts


def constants(script: Composer) -> list[str]:
    """Behind `.rodata`."""
    parts = []
    if script.chance(0.12):  # OpenSBI: what follows begins at a power of two that PMP can protect
        names = " + ".join(f"SIZEOF({name})" for name in script.names[-2:])
        parts.append(f". = ALIGN(1 << LOG2CEIL({names}));")
    if script.chance(0.12):
        parts.append(script.section(".rela.dyn", "PROVIDE(__rela_start = .); *(.rela*) PROVIDE(__rela_end = .);"))
    if script.chance(0.15):  # U-Boot and Zephyr: tables that the names of sections sort
        table = script.pick(
            "KEEP(*(SORT(.u_boot_list*)))",
            "KEEP(*(SORT(.z_init_EARLY_P_?_*))) KEEP(*(SORT(.z_init_EARLY_P_??_*)))",
            "_list = .; KEEP(*(SORT_BY_NAME(.u_boot_list_2_cmd_2*))) _list_end = .; LONG(_list_end - _list)",
            "*(SORT_BY_ALIGNMENT(SORT_BY_NAME(.u_boot_list*)))",
            "*(SORT_BY_NAME(SORT_BY_ALIGNMENT(.data..*)))",
        )
        parts.append(f". = ALIGN(8); {script.section('.lists', table, read_only=True)}")
    if script.chance(0.25):  # unwind tables
        frames = script.pick(
            "KEEP(*(.eh_frame))",
            "*(.eh_frame)",
            "__eh_start = .; KEEP(*(.eh_frame)) *(.eh_frame.*) LONG(0)",
        )
        kind = script.pick("", "", "", "(INFO) ")
        parts.append(script.section(".eh_frame", frames, kind=kind, read_only=True))
    if script.chance(0.1):
        parts.append(script.section(".notes", "__start_notes = .; KEEP(*(.note.*)) __stop_notes = .;", read_only=True))
    if script.chance(0.1):  # Linux: what does not reach up to the end of a page is filled
        parts.append(f".padding : {{ BYTE(0); . = ALIGN({script.pick('512', '0x1000')}); }} {script.place()}")
    return parts


def variables(script: Composer) -> list[str]:
    """Around `.data`."""
    parts = []
    if script.chance(0.15):  # NuttX: functions that run in RAM
        body = "_sramfuncs = ABSOLUTE(.); *(.ramfunc .ramfunc.*) *(.fast.text) . = ALIGN(4); _eramfuncs = ABSOLUTE(.);"
        parts.append(script.section(".ramfunc", body) + " _framfuncs = LOADADDR(.ramfunc);")
    if script.chance(0.15):  # Linux: one copy for each hart, the stack of the first task
        body = "__per_cpu_load = .; *(.data..percpu..first) . = ALIGN(64); *(.data..percpu) __per_cpu_end = .;"
        parts.append(script.section(".data..percpu", body))
        stack = "__start_init_task = .; KEEP(*(.data..init_task)) . = __start_init_task + (1 << 8);"
        parts.append(script.section(".tasks", f". = ALIGN(256); {stack} *(.data..page_aligned) . = ALIGN(256);"))
    if script.chance(0.1):  # picolibc: the thread block, and how it is aligned
        parts.append(script.section(".tdata", "*(.tdata .tdata.*) PROVIDE(__tdata_end = .);"))
        parts.append(script.section(".tbss", "*(.tbss .tbss.*) *(.tcommon)", loaded=False))
        parts.append("__tls_align = MAX(ALIGNOF(.tdata), ALIGNOF(.tbss)); PROVIDE(__tls_base = ADDR(.tdata));")
        parts.append("PROVIDE(__tcb_offset = MAX(8, __tls_align)); PROVIDE(__tdata_source = LOADADDR(.tdata));")
    if script.chance(0.1):
        arrays = "PROVIDE_HIDDEN(__preinit_start = .); KEEP(*(.preinit_array)) PROVIDE_HIDDEN(__preinit_end = .);"
        parts.append(script.section(".preinit_array", arrays))
    if script.chance(0.12):  # newlib and picolibc: gp
        parts.append(f"PROVIDE(__global_pointer$ = {script.pick('. + 0x800', 'ALIGN(16)')});")
    if script.chance(0.12):
        kind = script.pick("", "(INFO) ")
        parts.append(script.section(".got", "KEEP(*(.got .got.*)) *(.got.plt)", kind=kind))
    return parts


def zeros(script: Composer) -> list[str]:
    """Around `.bss`."""
    parts = []
    if script.chance(0.15):  # Linux
        body = ". = ALIGN(512); *(.bss..page_aligned) . = ALIGN(512); *(.init.bss) *(.bss.stack)"
        parts.append(script.section(".bss..first", body, loaded=False))
    if script.chance(0.12):  # Tock: stacks of a size that may be given
        body = ". = ALIGN(8); _sstack = .; . = . + (DEFINED(STACK_SIZE) ? STACK_SIZE : 0x100); . = ALIGN(8);"
        kind = script.pick("(NOLOAD) ", "", "(COPY) ")
        parts.append(script.section(".kernel_stack", body, kind=kind, loaded=False))
    if script.chance(0.1):  # riscv-rt: up to where the regions end
        heap = "_sheap = .; . += size_k; . = ALIGN(4); _eheap = .;"
        parts.append(script.section(".heap2", heap, kind="(NOLOAD) ", loaded=False))
        parts.append("_stack_size = DEFINED(_stack_size) ? _stack_size : SIZEOF(.heap2) + 16;")
    if script.chance(0.1):
        size = script.pick("", 'ASSERT(ORIGIN(RAM) % 4 == 0, "RAM is not aligned")') if script.regions else ""
        parts.append(f"{size} __bss_words = SIZEOF(.bss) / 4; __bss_last = ADDR(.bss) + SIZEOF(.bss);")
    return parts


def rest(script: Composer) -> list[str]:
    """What stands at the end."""
    parts = []
    if script.chance(0.1):  # Zephyr: the last thing in the ROM
        parts.append(script.section(".last_section", "LONG(0xe015e015)", read_only=True))
        parts.append("_flash_used = LOADADDR(.last_section) + SIZEOF(.last_section) - mark0;")
    if script.chance(0.15):
        parts.append(".attributes (INFO) : { KEEP(*(.attributes)) }")
    if script.chance(0.15):
        parts.append(".riscv.attributes 0 : { KEEP(*(.riscv.attributes)) }")
    if script.chance(0.15):
        names = ("aranges", "info", "abbrev", "line", "frame", "str", "line_str", "rnglists", "loclists")
        parts += [f".debug_{name} 0 : {{ *(.debug_{name} .debug_{name}.*) }}" for name in names]
    if script.chance(0.1):
        parts.append(".stab 0 : { *(.stab) } .symtab 0 : { *(.symtab) } .strtab 0 : { *(.strtab) }")
    if script.chance(0.1):
        parts.append("/DISCARD/ : { *(.exit.text) *(.altinstructions) *(.irq_info) }")
    return parts
