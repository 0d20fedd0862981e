"""``python -m local demo|up|down|mlflow``: what the Makefile calls."""

import argparse
import sys

from local.cloud import CloudError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local", description="The embedded cloud.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="tell the whole story on a fresh embedded cloud")
    commands.add_parser("up", help="keep the embedded cloud running, with the schedule firing by itself")
    commands.add_parser("down", help="stop it; what is stored stays")
    commands.add_parser("mlflow", help="open the training runs in MLflow's UI")
    command = parser.parse_args().command
    try:
        # Each command imports what it needs: `down` must work when little else does.
        if command == "demo":
            from local import demo

            demo.main()
        elif command == "up":
            from local import up as keep

            keep.up()
        elif command == "down":
            from local import up as keep

            keep.down()
        else:
            from local import tracking

            tracking.serve()
    except CloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
