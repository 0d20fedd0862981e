"""``python -m local demo|up|down|mlflow``: what the Makefile calls."""

import argparse
import sys
from pathlib import Path

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from stillgood.domain.errors import StillgoodError

from local.cloud import CloudError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local", description="The embedded cloud.")
    commands = parser.add_subparsers(dest="command", required=True)
    story = commands.add_parser("demo", help="tell the whole story on a fresh embedded cloud, or one chapter")
    story.add_argument("--chapter", default="", help="a module of local/chapters")
    up = commands.add_parser("up", help="keep the embedded cloud running, with the schedule firing by itself")
    up.add_argument("--data", type=Path, help="labelled rows in place of Telco")
    up.add_argument("--contract", type=Path, help="their contract; drafted by --target and --positive otherwise")
    for option in ("--target", "--positive", "--id", "--time"):
        up.add_argument(option)
    up.add_argument("--empty", action="store_true", help="without any data")
    commands.add_parser("down", help="stop it; what is stored stays")
    commands.add_parser("shell", help="a shell with the variables set")
    commands.add_parser("mlflow", help="open the training runs in MLflow's UI")
    arguments = parser.parse_args()
    command = arguments.command
    try:
        # Each command imports what it needs: `down` must work when little else does.
        if command == "demo":
            if arguments.chapter:
                from local import chapters

                chapters.play(arguments.chapter)
            else:
                from local import demo

                demo.main()
        elif command == "up":
            from local import up as keep

            keep.up(
                data=arguments.data,
                contract=arguments.contract,
                target=arguments.target,
                positive=arguments.positive,
                id_column=arguments.id,
                time_column=arguments.time,
                empty=arguments.empty,
            )
        elif command == "down":
            from local import up as keep

            keep.down()
        elif command == "shell":
            from local import shell

            shell.main()
        else:
            from local import tracking

            tracking.serve()
    except (CloudError, StillgoodError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (EndpointConnectionError, ConnectionClosedError) as error:
        print(
            f"error: the embedded cloud ended meanwhile ({error}); `make up` starts it again with everything it held",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
