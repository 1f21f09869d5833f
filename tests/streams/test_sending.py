from __future__ import annotations

import socket
import time

import pytest
from confluent_kafka import KafkaException

from schemas.codec import Codec
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig
from schemas.jsontext import jsontext
from schemas.registry import LocalRegistry
from schemas.topics import COMMANDS
from streams.sending import send

STOP = Command(id="1", kind=CommandKind.STOP, scope="*", at=0, by="ada")


def test_where_nobody_listens_a_command_is_given_up_long_before_its_patience_ends() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        port = nobody.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(KafkaException):
        send(f"127.0.0.1:{port}", STOP, 60.0)

    assert time.monotonic() - began < 20


def test_what_is_sent_is_what_the_codec_would_have_written() -> None:
    codec = Codec(LocalRegistry())
    config = LlmConfig(version="v", provider="é", model="m", parameters={"b": "2", "a": "1"})
    command = Command(
        id="2", kind=CommandKind.SET, scope="a/b", at=1, by="ada", config=config, reason="why"
    )

    assert codec.encode(COMMANDS, command) == jsontext(command)
    assert command == codec.decode(COMMANDS, jsontext(command))
