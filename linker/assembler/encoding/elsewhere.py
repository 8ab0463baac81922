"""Instructions of ratified extensions that have no rows here, so that a message can name their extension."""

import re

_WORDS = {
    "zba": "add.uw sh1add sh1add.uw sh2add sh2add.uw sh3add sh3add.uw slli.uw",
    "zbb": "clz clzw cpop cpopw ctz ctzw max maxu min minu orc.b andn orn rev8 rol rolw ror rori roriw rorw xnor",
    "zbc": "clmul clmulh clmulr",
    "zbkb": "brev8 pack packh packw",
    "zbkx": "xperm4 xperm8",
    "zbs": "bclr bclri bext bexti binv binvi bset bseti",
    "zicbom": "cbo.clean cbo.flush cbo.inval",
    "zicbop": "prefetch.i prefetch.r prefetch.w",
    "zicboz": "cbo.zero",
    "zicond": "czero.eqz czero.nez",
    "zawrs": "wrs.nto wrs.sto",
    "zihintntl": "ntl.p1 ntl.pall ntl.s1 ntl.all",
    "zknd": "aes64ds aes64dsm aes64im aes64ks1i aes64ks2",
    "zkne": "aes64es aes64esm",
    "zknh": "sha256sig0 sha256sig1 sha256sum0 sha256sum1 sha512sig0 sha512sig1 sha512sum0 sha512sum1",
    "zksed": "sm4ed sm4ks",
    "zksh": "sm3p0 sm3p1",
    "zcb": "c.lbu c.lhu c.lh c.sb c.sh c.zext.b c.sext.b c.zext.h c.sext.h c.zext.w c.not c.mul",
    "zcmp": "cm.push cm.pop cm.popret cm.popretz cm.mva01s cm.mvsa01",
    "zcmt": "cm.jt cm.jalt",
    "zicfilp": "lpad",
    "zicfiss": "sspush sspopchk ssrdp ssamoswap.w ssamoswap.d",
    "zfhmin": "flh fsh fmv.h.x fmv.x.h fcvt.s.h fcvt.h.s fcvt.d.h fcvt.h.d",
    "q": "flq fsq",
}
_BY_WORD = {word: extension for extension, words in _WORDS.items() for word in words.split()}

_PATTERNS = (
    ("v", re.compile(r"v[a-z0-9]+\.[a-z0-9.]+|vsetvli?|vsetivli")),
    ("zfh", re.compile(r"f[a-z0-9]+(\.[a-z]+)*\.h(\.[a-z]+)?")),
    ("q", re.compile(r"f[a-z0-9]+(\.[a-z]+)*\.q(\.[a-z]+)?")),
    ("zacas", re.compile(r"amocas\.[wdq](\.(aq|rl|aqrl))?")),
    ("zabha", re.compile(r"amo[a-z]+\.[bh](\.(aq|rl|aqrl))?")),
    ("zfa", re.compile(r"fli\.[sdhq]|f(min|max)m\.[sdhq]|fround(nx)?\.[sdhq]|fcvtmod\.w\.d|fl(e|t)q\.[sdhq]")),
    ("zimop", re.compile(r"mop\.rr?\.\d+")),
    ("xthead", re.compile(r"th\.[a-z0-9.]+")),
)


def extension_elsewhere(mnemonic: str) -> str | None:
    """The extension of an instruction that is known by name only.

    >>> extension_elsewhere("vadd.vv"), extension_elsewhere("sh1add"), extension_elsewhere("add")
    ('v', 'zba', None)
    """
    if mnemonic in _BY_WORD:
        return _BY_WORD[mnemonic]
    return next((extension for extension, pattern in _PATTERNS if pattern.fullmatch(mnemonic)), None)
