/* Linux's own arch/riscv/mm/ptdump.c as a module that shows the kernel's page tables in /proc: there is no debugfs. */
#include <linux/debugfs.h>
#include <linux/efi.h>
#include <linux/module.h>
#include <linux/proc_fs.h>

#undef CONFIG_EFI
#define debugfs_create_file(name, mode, parent, data, operations) \
    proc_create_single_data(name, mode, NULL, ptdump_show, data)
#include "arch/riscv/mm/ptdump.c"
MODULE_LICENSE("GPL");
