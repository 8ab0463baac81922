"""The probes' machine code for AArch64 hosts, where no Keystone can be installed; tests compare it with the source."""

AARCH64 = {
    "block": bytes.fromhex(
        "cd7746d3 6a1440f9 6b1840f9 6b0100b4 6c3440f9 9f0101eb 01010054 49796d78 69000034 2c0080d2 6c3c00f9 4b792d78 "
        "7f1800f9 731c00f9 49796d78 69010034 6b0040f9 6b01098b 6c0440f9 7f010ceb 48010054 6b0000f9 610800f9 690c00f9 "
        "6d3800f9 c0035fd6 6c2440f9 8c050091 6c2400f9 f3ffff17 6c3040f9 7f010ceb 68000054 7f3000f9 f3ffff17 2c0080d2 "
        "6c1000f9 692040f9 fd7bbfa9 fd030091 20013fd6 fd7bc1a8 c0035fd6"
    ),
    "edge": bytes.fromhex(
        "290040f9 693400f9 29104079 691800f9 692840f9 490000b5 c0035fd6 692c40f9 fd7bbfa9 fd030091 "
        "20013fd6 fd7bc1a8 c0035fd6"
    ),
    "follow": bytes.fromhex(
        "fd7bbca9 fd030091 f35301a9 f55b02a9 f30300aa f40303aa 350040f9 36144079 d602158b d60600d1 "
        "e00313aa e10315aa 82008052 e3c30091 890e40f9 20013fd6 60020035 e01b40f9 890240f9 090009cb "
        "8a0640f9 3f010aeb a2010054 29fd50d3 8a0a40f9 2bfd46d3 4c796bf8 2d0080d2 ad21c99a 9f010dea "
        "a1000054 8c010daa 4c792bf8 891240f9 20013fd6 a90216ca f50316aa 29fd4cd3 89fcffb5 f55b42a9 "
        "f35341a9 fd7bc4a8 c0035fd6"
    ),
}
"""The bytes of each probe, by its name."""
