"""The tools for assistants, asked by the SDK's own client."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kernel.build import BuiltKernel

if TYPE_CHECKING:  # it takes longer to load than all of ekernel, and only these tests need it
    from mcp import ClientSession


@pytest.fixture(scope="module")
def kernel(kernel_of: Callable[..., BuiltKernel]) -> Path:
    return kernel_of("full").elf


async def said(session: "ClientSession", tool: str, **words: object) -> str:
    answer = await session.call_tool(tool, words)
    assert not answer.isError, answer
    text = answer.content[0].text  # type: ignore[union-attr]
    assert len(text) < 4200
    return text


def test_an_assistant_finds_out_why_a_kernel_faulted(kernel: Path) -> None:
    from mcp.shared.memory import create_connected_server_and_client_session

    from emu.debug.mcp import new_server

    async def talk() -> None:
        async with create_connected_server_and_client_session(new_server(None)._mcp_server) as session:
            offered = {tool.name for tool in (await session.list_tools()).tools}
            assert {"boot", "run_until", "goto", "walk", "last_write", "explain_fault", "held", "events"} <= offered
            assert "call boot" in await said(session, "where")
            assert "_start" in await said(session, "boot", kernel=str(kernel))
            assert "space_fault" in await said(session, "run_until", place="space_fault")
            assert "is invalid (V = 0)" in await said(session, "explain_fault")
            assert "all zero" in await said(session, "walk", address="0x1000000128")
            assert "kernel_space_init" in await said(session, "last_write", address="kernel_space")
            assert "kernel_space_init" in await said(session, "why_register", register="a0")
            assert "3 still held" in await said(session, "held")
            assert "ecall" not in await said(session, "events", limit=1)
            assert "addi16sp sp, -0x40" in await said(session, "disassemble", address="space_fault", count=2)
            assert "kernel_space" in await said(session, "read_memory", address="kernel_space")
            assert "after 1,000 instructions" in await said(session, "goto", instructions=1000)
            assert "not in this run's history" in await said(session, "goto", instructions=10**9)
            assert "no symbol" in (await said(session, "last_write", address="nothing_like_it")).lower()
            assert "self-tests passed" in await said(session, "run_until") + await said(session, "console")

    asyncio.run(talk())


def test_the_command_serves_at_standard_input_and_output(kernel: Path) -> None:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    async def talk() -> str:
        program = StdioServerParameters(
            command=str(Path(sys.executable).with_name("ekernel")), args=["mcp", str(kernel)]
        )
        async with stdio_client(program) as streams, ClientSession(*streams) as session:
            await session.initialize()
            return await said(session, "where")

    assert "after 0 instructions" in asyncio.run(talk())
