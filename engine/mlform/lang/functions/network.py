"""IP networks in CIDR notation."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeAlias

from mlform.lang.operations import OperationError, shorten
from mlform.lang.registry import STRINGS, check_size, function, string, whole_number
from mlform.types import STRING
from mlform.values import Value

_Network: TypeAlias = IPv4Network | IPv6Network
_MAPPED: Final = 96  # ::ffff:0:0/96 holds the IPv4 addresses
_COUNTED: Final = 64  # the bits of a number that its size is told by
_LENGTH: Final = re.compile(r"[0-9]{1,3}")
_ZEROS: Final = re.compile(r"\b0+(?=\d)")


def _network(prefix: str) -> _Network:
    address, _, length = prefix.rpartition("/")
    try:
        if _LENGTH.fullmatch(length) is not None and ":" in address:
            return _unmapped(IPv6Network((address, int(length)), strict=False))
        if _LENGTH.fullmatch(length) is not None:
            return IPv4Network((_ZEROS.sub("", address), int(length)), strict=False)
    except ValueError:
        pass
    raise OperationError(
        f'"{shorten(prefix)}" is no network; write it as 10.0.0.0/16 or fd00::/48', 0
    )


def _unmapped(network: IPv6Network) -> _Network:
    mapped = network.network_address.ipv4_mapped
    if mapped is None or network.prefixlen < _MAPPED:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED))


def _shown(network: _Network, value: int, length: int | None = None) -> str:
    address = IPv6Address(value) if network.version == 6 else IPv4Address(value)
    return str(address) if length is None else f"{address}/{length}"


@function("cidrhost", string("prefix"), whole_number("hostnum", bounded=False), result=STRING)
def cidrhost(prefix: str, given: int) -> Value:
    """Return the address of a host; a negative number counts from the end."""
    network, host = _network(prefix), given
    count = network.num_addresses
    if host < 0:
        fits, host = host >= -count, host % count
    else:
        # As in Terraform, which looks at 64 bits of the number, the first of them its sign.
        fits = host % 2**_COUNTED < count or host % 2**_COUNTED >= 2 ** (_COUNTED - 1)
    address = int(network.network_address) | host
    if not fits or address >= 2**network.max_prefixlen:
        raise OperationError(f"a prefix of {network.prefixlen} bits has no host {given}", 1)
    return _shown(network, address)


@function("cidrnetmask", string("prefix"), result=STRING)
def cidrnetmask(prefix: str) -> Value:
    """Return the netmask of an IPv4 network."""
    network = _network(prefix)
    if network.version == 6:
        raise OperationError("an IPv6 network has no netmask", 0)
    if ":" in prefix:
        # The mask of what is written as IPv6 is of IPv6 too.
        return str(IPv6Network((0, network.prefixlen + _MAPPED)).netmask)
    return str(network.netmask)


@function(
    "cidrsubnet",
    string("prefix"),
    whole_number("newbits"),
    whole_number("netnum", bounded=False),
    result=STRING,
)
def cidrsubnet(prefix: str, new_bits: int, number: int) -> Value:
    """Return one of the networks that longer prefixes divide a network into."""
    network = _network(prefix)
    length = _longer(network, new_bits, 1, least=-network.prefixlen)
    # Terraform looks at 64 bits of the number, and at its sign not at all.
    bounded = 0 <= new_bits < _COUNTED
    shift = network.max_prefixlen - length
    address = abs(int(network.network_address) | number << shift)
    too_large = bounded and abs(number) % 2**_COUNTED >= 2**new_bits
    if too_large or address >= 2**network.max_prefixlen:
        most = 2 ** max(new_bits, 0) - 1
        raise OperationError(
            f"{new_bits} more bits have numbers from 0 to {most}, not {shorten(str(number))}", 2
        )
    return _shown(network, address, length)


def _longer(network: _Network, new_bits: int, argument: int, least: int = 0) -> int:
    length = network.prefixlen + new_bits
    if new_bits < least or length > network.max_prefixlen:
        most = network.max_prefixlen - network.prefixlen
        raise OperationError(
            f"a prefix of {network.prefixlen} bits has room for {most} more, not {new_bits}",
            argument,
        )
    return length


@function("cidrsubnets", string("prefix"), rest=whole_number("newbits"), result=STRINGS)
def cidrsubnets(prefix: str, *new_bits: int) -> Value:
    """Return networks of the given additional prefix lengths, one after the other."""
    network = _network(prefix)
    check_size(len(new_bits), "networks")
    at = int(network.network_address)
    end = at + network.num_addresses
    found: list[Value] = []
    for position, bits in enumerate(new_bits, 1):
        if not 1 <= bits <= 32:
            raise OperationError(f"from 1 to 32 more bits are possible, not {bits}", position)
        length = _longer(network, bits, position)
        size = 1 << (network.max_prefixlen - length)
        at = (at + size - 1) // size * size
        if at + size > end:
            raise OperationError(
                f"the network has no room left for a prefix of {length} bits", position
            )
        found.append(_shown(network, at, length))
        at += size
    return found
