"""The machine on an AArch64 host: Debian's Python and Unicorn's wheel for AArch64, executed by QEMU's user mode."""

from pathlib import Path

import pytest

from tests.hosts.otherhost import AARCH64, ROOT

CHOSEN = {
    "operations and instructions": {
        "engine/test_facts.py": "not slow",
        "engine/test_probes.py": "not slow",
        "engine/test_floats.py": "not slow",
        "engine/test_opencalls.py": "fast and (native and (each_call_knows or equal_stack) or are_recorded)",
        "engine/test_pairs.py": "table_grows",
        "record/test_hits.py": "other_blocks",
        **dict.fromkeys(
            ("engine/test_features.py", "engine/test_counting.py", "engine/test_shadow.py"),
            "native and fast and (last_is_known or sum_of_all or each_way or inside_of_marked or never_written)",
        ),
        "isa/test_every_instruction.py": "fmin or fmadd or mret",
    },
    "machines and kernels": {
        "machine/test_hazards.py": "not slow",
        "machine/test_time.py": "not slow",
        "machine/test_paging_and_users.py": (
            "last_event or user_pages or set_by_the_walk or is_cached or switch_of_the or patched"
        ),
        **dict.fromkeys(
            ("machine/test_calls.py", "testing/test_short_calls.py", "testing/test_many_executions.py"),
            "native_step or without_a_run or need_no_python",
        ),
        "engine/test_entries.py": "what_traps_have_left and listens0",
        "engine/test_fences.py": "each_access and False",
        "engine/test_port.py": "a_listener_and",
        "engine/test_codepages.py": "seen_to_change and native",
        "engine/test_tlb_fill.py": "(refused_pages and False) or that_raises",
        "hart/test_crossing_fetches.py": "though_fetches and fast",
        "hart/test_interrupts.py": "not slow",
        "hart/test_translations.py": "not slow",
        "hart/test_page_table_writes.py": "(kind_of_store and fast) or (watched_from and exact)",
        "observe/allocations/test_recorded.py": "recorded_calls or (each_stack and fast)",
        "observe/sanitizer/test_poisoned_natively.py": "fast and (few_of_many or another_size or (2 and linear))",
        "../kernel/test_exact_counts.py": "step-by-step and exact",
    },
}
"""What of the tests runs there, in two processes, as an emulated start takes half a minute: files, words for `-k`."""


@pytest.mark.slow
@pytest.mark.parametrize("part", CHOSEN)
def test_the_tests_pass_on_an_aarch64_host(python, part):
    words = " or ".join(f"({Path(name).name} and ({words}))" for name, words in CHOSEN[part].items())
    files = [str(ROOT / "tests" / "emu" / name) for name in CHOSEN[part]]
    result = python(AARCH64, "-m", "pytest", "-p", "no:cacheprovider", "-k", words, *files)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr
