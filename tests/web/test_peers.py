"""Who sent a request: what proxies say is believed only if they are ours."""

import pytest
from falcon.testing import create_environ

from clawdeploy.core.setting_values import networks
from clawdeploy.web.peers import Peers
from clawdeploy.web.request import Request


def peer(address: str, said: str | None = None, trusted: str = "") -> str:
    headers = {} if said is None else {"X-Forwarded-For": said}
    return Peers(networks(trusted)).peer(Request(create_environ(headers=headers, remote_addr=address)))


@pytest.mark.parametrize(
    ("address", "known_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("@", "unknown"),
    ],
)
def test_how_a_peer_is_known(address: str, known_as: str) -> None:
    assert peer(address) == known_as


@pytest.mark.parametrize("said", ["198.51.100.9", "127.0.0.1", "198.51.100.9, 192.0.2.7", "unknown", ""])
def test_nobody_can_say_who_they_are(said: str) -> None:
    assert peer("192.0.2.7", said) == "192.0.2.7"
    assert peer("192.0.2.7", said, "127.0.0.1,10.0.0.0/8,2001:db8::/32") == "192.0.2.7"


@pytest.mark.parametrize(
    ("said", "known_as"),
    [
        (None, "10.0.0.1"),
        ("198.51.100.9", "198.51.100.9"),
        ("  198.51.100.9  ", "198.51.100.9"),
        ("2001:db8:9:9::7", "2001:db8:9:9::/64"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        # What the client itself has sent stands to the left of what our proxies add.
        ("127.0.0.1, 198.51.100.9", "198.51.100.9"),
        ("10.0.0.8, 198.51.100.9, 10.0.0.2, 127.0.0.1", "198.51.100.9"),
        ("<script>, 198.51.100.9", "198.51.100.9"),
        # All of them are ours: then the first one has sent it.
        ("10.0.0.2", "10.0.0.2"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # What cannot be read is not believed, nor is anything to the left of it.
        ("", "10.0.0.1"),
        ("unknown", "10.0.0.1"),
        ("198.51.100.9, unknown", "10.0.0.1"),
        ("198.51.100.9, , 10.0.0.2", "10.0.0.2"),
        ("198.51.100.9:443", "10.0.0.1"),
        ("198.51.100.9 10.0.0.2", "10.0.0.1"),
    ],
)
def test_our_own_proxies_are_believed(said: str | None, known_as: str) -> None:
    assert peer("10.0.0.1", said, "127.0.0.1, 10.0.0.0/8") == known_as
    assert peer("::ffff:10.0.0.1", said, "127.0.0.1, 10.0.0.0/8") == known_as


def test_a_proxy_on_ipv6_is_one_address_not_its_network() -> None:
    assert peer("2001:db8::1", "198.51.100.9", "2001:db8::1") == "198.51.100.9"
    assert peer("2001:db8::2", "198.51.100.9", "2001:db8::1") == "2001:db8::/64"


def test_no_text_of_a_caller_is_part_of_an_address() -> None:
    peers = Peers(networks("10.0.0.0/8,fe80::/10"))
    said = {"X-Forwarded-For": "fe80::1%" + "A\x1b" * 1000}
    assert peers.address(Request(create_environ(headers=said, remote_addr="10.0.0.1"))) == "fe80::1"
