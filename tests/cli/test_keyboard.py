"""The keyboard behind the command line, where no run shows it reliably."""

import os
import pty
import select

import pytest

from emu.cli.keyboard import TerminalInput


def test_a_wish_to_leave_that_came_with_the_last_keys_ends_the_next_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, terminal = pty.openpty()
    with TerminalInput(terminal) as keyboard:
        os.write(ours, b"a\x01x")
        assert select.select([terminal], [], [], 60)[0]
        assert keyboard.more() == b"a"

        def never_again(*arguments: object) -> None:
            pytest.fail("the next wait asked the terminal, where nothing more comes")

        monkeypatch.setattr(select, "select", never_again)
        assert keyboard.wait(None)
        assert keyboard.leave
    os.close(ours)
    os.close(terminal)
