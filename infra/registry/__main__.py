"""The schema registry as a program: `python -m infra.registry --bootstrap-servers HOST:PORT`."""

import argparse
import logging
import sys

from aiohttp import web

from infra.ports import LOOPBACK
from infra.registry.log import TOPIC, SchemaLog
from infra.registry.registry import SchemaRegistry
from infra.registry.server import application


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m infra.registry", description=__doc__)
    parser.add_argument(
        "--bootstrap-servers", required=True, help="the Kafka that keeps the schemas"
    )
    parser.add_argument(
        "--port", type=int, default=8081, help="where to listen (default: %(default)s)"
    )
    parser.add_argument(
        "--host", default=LOOPBACK, help="on which interface (default: %(default)s)"
    )
    parser.add_argument("--topic", default=TOPIC, help="the topic (default: %(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    app = application(SchemaRegistry(SchemaLog(options.bootstrap_servers, options.topic)))
    try:
        web.run_app(app, host=options.host, port=options.port, access_log=None, print=None)
    except TimeoutError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's last word
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
