"""TLS connections, servers, and live connections that become TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

MUCH = bytes(range(256)) * 16 * 1024
"""More than TLS or a socket takes at once, 4 MiB."""


async def echo(reader, writer):
    while data := await reader.read(100_000):
        writer.write(data)
        await writer.drain()
    writer.close()


async def exchange(reader, writer, data):
    """Send `data` to who echoes it, and return what comes back."""

    async def send():
        writer.write(data)
        await writer.drain()

    sending = asyncio.ensure_future(send())
    received = await reader.readexactly(len(data))
    await sending
    return received


def port_of(server):
    return server.sockets[0].getsockname()[1]


def test_bytes_travel_both_ways(run, server_side, client_side):
    async def talk():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_side)
        async with server:
            reader, writer = await asyncio.open_connection(
                "localhost", port_of(server), ssl=client_side
            )
            assert await exchange(reader, writer, b"hello") == b"hello"
            assert await exchange(reader, writer, MUCH) == MUCH
            assert writer.get_extra_info("sslcontext") is client_side
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            assert writer.get_extra_info("peername") == ("127.0.0.1", port_of(server))
            writer.close()
            await writer.wait_closed()

    run(talk())


def test_tls_works_at_a_path(run, server_side, client_side, tmp_path):
    path = tmp_path / "socket"

    async def talk():
        async with await asyncio.start_unix_server(echo, path, ssl=server_side):
            reader, writer = await asyncio.open_unix_connection(
                path, ssl=client_side, server_hostname="localhost"
            )
            assert await exchange(reader, writer, b"hello") == b"hello"
            writer.close()
            await writer.wait_closed()

    run(talk())


def test_a_live_connection_becomes_tls(run, loop, server_side, client_side):
    async def serve(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        await writer.drain()
        await writer.start_tls(server_side)
        await echo(reader, writer)

    async def talk():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            await writer.start_tls(client_side, server_hostname="localhost")
            assert writer.get_extra_info("ssl_object") is not None
            assert await exchange(reader, writer, MUCH) == MUCH
            writer.close()
            await writer.wait_closed()

    run(talk())


def test_a_certificate_that_nobody_vouches_for_is_refused(run, server_side):
    async def talk():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_side)
        async with server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection("localhost", port_of(server), ssl=True)

    run(talk())


def test_a_certificate_of_another_host_is_refused(run, server_side, client_side):
    async def talk():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_side)
        async with server:
            with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
                await asyncio.open_connection(
                    "127.0.0.1",
                    port_of(server),
                    ssl=client_side,
                    server_hostname="example.org",
                )

    run(talk())


def test_a_server_survives_a_client_that_speaks_no_tls(run, server_side, client_side):
    async def talk():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_side)
        async with server:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await reader.read()
            writer.close()
            reader, writer = await asyncio.open_connection(
                "localhost", port_of(server), ssl=client_side
            )
            assert await exchange(reader, writer, b"hello") == b"hello"
            writer.close()
            await writer.wait_closed()

    run(talk())


def test_a_handshake_has_a_time_limit(run, client_side):
    async def talk():
        with (
            socket.create_server(("127.0.0.1", 0)) as silent,
            pytest.raises(ConnectionAbortedError, match="handshake is taking longer"),
        ):
            await asyncio.open_connection(
                "localhost",
                silent.getsockname()[1],
                ssl=client_side,
                ssl_handshake_timeout=0.01,
            )

    run(talk())


def test_only_a_context_and_a_socket_transport_can_start_tls(run, loop, client_side):
    near, far = socket.socketpair()
    with far:

        async def try_it():
            transport, protocol = await loop.create_connection(
                asyncio.Protocol, sock=near
            )
            with pytest.raises(TypeError, match="expected to be an instance of ssl"):
                await loop.start_tls(transport, protocol, None)
            with pytest.raises(TypeError, match="is not supported by start_tls"):
                await loop.start_tls(asyncio.Transport(), protocol, client_side)
            transport.close()
            await asyncio.sleep(0)

        run(try_it())
